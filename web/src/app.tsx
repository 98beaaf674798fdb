import { Later } from './parts/later.tsx'
import { Lock } from './parts/lock.tsx'
import { Notices } from './parts/notices.tsx'
import { OfflineBanner } from './parts/offline-banner.tsx'
import { Shell } from './parts/shell.tsx'
import { Starting, Unreachable } from './parts/starting.tsx'
import { entered, pairing } from './state/pairing.ts'
import { phase, userId } from './state/session.ts'

const loadSignIn = async () => (await import('./screens/sign-in.tsx')).SignIn
const loadPair = async () => (await import('./screens/pair.tsx')).Pair
const loadEntered = async () => (await import('./screens/entered.tsx')).Entered

export function App() {
  return (
    <>
      <Screen />
      <OfflineBanner />
      <Notices />
      <Lock />
    </>
  )
}

function Screen() {
  if (phase.value === 'starting') return <Starting />
  if (phase.value === 'unreachable') return <Unreachable />
  if (pairing.value !== null) return <Later key="pair" load={loadPair} />
  if (userId.value !== null && entered.value === userId.value) return <Later key="entered" load={loadEntered} />
  return phase.value === 'signed-in' ? <Shell key={userId.value} /> : <Later key="sign-in" load={loadSignIn} />
}
