import '../parts/rows.css'
import type { Session } from '@minikeepsafe/client'
import { QrCode } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/confirm.tsx'
import { DeviceRow } from '../parts/devices/device-row.tsx'
import { PairingDialog } from '../parts/devices/pairing-dialog.tsx'
import { Starting } from '../parts/starting.tsx'
import { notify } from '../state/notices.ts'
import { attempt, client, signOut } from '../state/session.ts'
import { t } from '../words/words.ts'

type Asked = { what: 'end'; session: Session } | { what: 'others' } | { what: 'add' }

/** The devices that are signed in. */
export function Devices() {
  const words = t.value.devices
  const [sessions, setSessions] = useState<Session[] | null>(null)
  const [isFailed, setFailed] = useState(false)
  const [asked, setAsked] = useState<Asked | null>(null)
  const close = () => setAsked(null)

  const load = async () => {
    const listed = await attempt(() => client.sessions.list())
    setFailed(!listed)
    // This device first, then the others as the server lists them.
    if (listed) setSessions(listed.sort((one, other) => Number(other.current) - Number(one.current)))
  }
  useEffect(() => void load(), [])

  const end = async (session: Session) => {
    if (session.current) return signOut()
    await attempt(async () => {
      await client.sessions.end(session.sessionId)
      notify(words.signedOut(nameOf(session)))
    })
    await load()
  }
  const endOthers = async () => {
    await attempt(async () => {
      await client.sessions.endOthers()
      notify(words.othersDone)
    })
    await load()
  }

  if (sessions === null && !isFailed) return <Starting />
  return (
    <main class="screen stack">
      <h1>{t.value.common.devices}</h1>
      <div class="above">
        <p class="soft">{words.intro}</p>
        <Button kind="main" icon={QrCode} onClick={() => setAsked({ what: 'add' })}>
          {words.add}
        </Button>
      </div>
      {sessions ? (
        <ul class="rows">
          {sessions.map((session) => (
            <DeviceRow
              key={session.sessionId}
              session={session}
              name={nameOf(session)}
              onEnd={() => setAsked({ what: 'end', session })}
            />
          ))}
        </ul>
      ) : (
        <Button onClick={() => void load()}>{t.value.common.retry}</Button>
      )}
      {sessions && sessions.length > 1 && (
        <div>
          <Button kind="danger" onClick={() => setAsked({ what: 'others' })}>
            {words.others}
          </Button>
        </div>
      )}
      {asked?.what === 'add' && (
        <PairingDialog
          onClose={close}
          onJoined={() => {
            close()
            void load()
          }}
        />
      )}
      {asked?.what === 'others' && (
        <Confirm title={words.othersTitle} action={words.others} onConfirm={endOthers} onClose={close}>
          <p>{words.othersText}</p>
        </Confirm>
      )}
      {asked?.what === 'end' && (
        <Confirm
          title={words.signOutTitle(nameOf(asked.session))}
          action={words.signOut}
          onConfirm={() => end(asked.session)}
          onClose={close}
        >
          <p>{asked.session.current ? words.signOutOwnText : words.signOutText}</p>
        </Confirm>
      )}
    </main>
  )
}

const nameOf = ({ deviceName }: Session) => deviceName ?? t.value.devices.unnamed
