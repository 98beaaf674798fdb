import './starting.css'
import { useEffect } from 'preact/hooks'
import { connection } from '../state/connection.ts'
import { begin } from '../state/session.ts'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'

/** Until the server has answered. */
export function Starting() {
  return (
    <main class="starting" aria-busy="true">
      <p class="soft">{t.value.common.loading}</p>
    </main>
  )
}

/** No connection: the vault is on the server, so there is nothing to show. */
export function Unreachable() {
  useEffect(() => {
    const again = () => void begin()
    addEventListener('online', again)
    return () => removeEventListener('online', again)
  }, [])
  return (
    <main class="starting stack">
      <h1>{t.value.common.appName}</h1>
      <p>{connection.value === 'offline' ? t.value.common.offline : t.value.common.notReachable}</p>
      <Button kind="main" onClick={() => void begin()}>
        {t.value.common.retry}
      </Button>
    </main>
  )
}
