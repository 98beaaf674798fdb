import { Lock } from './parts/lock.tsx'
import { Notices } from './parts/notices.tsx'
import { OfflineBanner } from './parts/offline-banner.tsx'
import { Shell } from './parts/shell.tsx'
import { Starting, Unreachable } from './parts/starting.tsx'
import { SignIn } from './screens/sign-in.tsx'
import { phase } from './state/session.ts'

export function App() {
  return (
    <>
      {phase.value === 'starting' && <Starting />}
      {phase.value === 'unreachable' && <Unreachable />}
      {phase.value === 'signed-out' && <SignIn />}
      {phase.value === 'signed-in' && <Shell />}
      <OfflineBanner />
      <Notices />
      <Lock />
    </>
  )
}
