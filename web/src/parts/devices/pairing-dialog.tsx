import './pairing-dialog.css'
import { isVaultError, type Session, type ShownPin } from '@minikeepsafe/client'
import { Copy } from 'lucide'
import type { RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { notify } from '../../state/notices.ts'
import { attempt, client, failed } from '../../state/session.ts'
import { formatCountdown } from '../../words/formats.ts'
import { t } from '../../words/words.ts'
import { Button } from '../button.tsx'
import { Dialog } from '../dialog.tsx'
import { useCountdown } from '../use-countdown.ts'
import { QrPicture } from './qr-picture.tsx'

const LOOK_EVERY_MS = 2500
/** An address that only this machine understands. */
const IS_LOCAL = /^(localhost|127\.|\[::1\])/.test(location.hostname)

interface Props {
  onJoined: () => void
  onClose: () => void
}

/** Shows the picture that signs a new device in, until that has happened. */
export function PairingDialog({ onJoined, onClose }: Props) {
  const words = t.value.devices
  const [shown, setShown] = useState<(ShownPin & { text: string }) | null>(null)
  const leftMs = useCountdown(shown && Date.parse(shown.pinExpiresAt))
  const isGood = shown !== null && leftMs > 0
  /** The devices before the first code. A session is no sign of a new one: a device that signs in anew has another. */
  const known = useRef<Set<string> | null>(null)

  const renew = async () => {
    const made = await attempt(async () => {
      known.current ??= new Set((await client.sessions.list()).map(({ deviceId }) => deviceId))
      return client.pair()
    })
    if (made) setShown(made)
    else onClose()
  }
  useEffect(() => void renew(), [])
  useNewDevice(known, (session) => {
    notify(words.joined(session.deviceName ?? words.unnamed))
    onJoined()
  })

  return (
    <Dialog title={words.add} onClose={onClose}>
      <p>{words.addText}</p>
      {isGood ? (
        <>
          <QrPicture text={shown.text} label={words.qr} />
          <div class="pairing">
            <p>
              {words.pin} <strong>{shown.pin}</strong>
            </p>
            <p role="timer" aria-live="off">
              {words.goodFor(formatCountdown(leftMs))}
            </p>
          </div>
          <p class="warning">{words.addWarning}</p>
          {IS_LOCAL && <p class="soft small">{words.addLocal}</p>}
          <PairingLink text={shown.text} />
          <p class="soft small" role="status">
            {words.waiting}
          </p>
        </>
      ) : (
        shown && <p role="alert">{words.expired}</p>
      )}
      <Button kind={shown && !isGood ? 'main' : 'plain'} disabled={shown === null} onClick={() => void renew()}>
        {words.newCode}
      </Button>
    </Dialog>
  )
}

/** For a device without a camera. */
function PairingLink({ text }: { text: string }) {
  const words = t.value.devices
  const copy = async () => {
    // Only on secure origins; the text can be selected everywhere.
    await navigator.clipboard?.writeText(text)
    notify(words.copied)
  }
  return (
    <div class="pairing-link">
      <input readOnly aria-label={words.link} value={text} onFocus={({ currentTarget }) => currentTarget.select()} />
      {isSecureContext && <Button icon={Copy} label={words.copy} onClick={() => void copy()} />}
    </div>
  )
}

/** Asks every few seconds, while somebody looks at the page. */
function useNewDevice(known: RefObject<Set<string> | null>, onNew: (session: Session) => void) {
  const latest = useRef(onNew)
  latest.current = onNew
  useEffect(() => {
    const leaving = new AbortController()
    const timer = setInterval(async () => {
      if (document.hidden || known.current === null) return
      const sessions = await client.sessions.list({ signal: leaving.signal }).catch((error) => {
        // Without a connection it is tried again. A session that is over leads to the sign-in.
        if (isVaultError(error, 'unauthorized')) failed(error)
        return []
      })
      const added = sessions.find(({ deviceId }) => !known.current?.has(deviceId))
      if (!added || leaving.signal.aborted) return
      clearInterval(timer)
      latest.current(added)
    }, LOOK_EVERY_MS)
    return () => {
      clearInterval(timer)
      leaving.abort()
    }
  }, [])
}
