import { useState } from 'preact/hooks'
import { deviceName } from '../../state/device-name.ts'
import { enter } from '../../state/entering.ts'
import { notify } from '../../state/notices.ts'
import { asPin } from '../../state/pin.ts'
import { formatCountdown } from '../../words/formats.ts'
import { t } from '../../words/words.ts'
import { Button } from '../button.tsx'
import { Field } from '../field.tsx'
import { useCountdown } from '../use-countdown.ts'
import { useSending } from '../use-sending.ts'
import { DeviceFields } from './device-fields.tsx'
import { Refusal } from './refusal.tsx'

/** How the PIN comes to the person. */
export type Sent =
  | { how: 'shown'; pin: string; expiresAt: string }
  | { how: 'email' | 'console'; expiresAt: string }
  | { how: 'operator' }

interface Props {
  sent: Sent
  email: string
  /** Requests another PIN; none if this page cannot. */
  onAgain: (() => Promise<void>) | null
  onBack: () => void
}

/** The second step: the PIN, and the name of this device. */
export function PinForm({ sent, email, onAgain, onBack }: Props) {
  const words = t.value.signIn
  const [typed, setTyped] = useState('')
  const [isMisshapen, setMisshapen] = useState(false)
  const [hasLetters, setHasLetters] = useState(false)
  const [choice, setChoice] = useState({ name: deviceName(), untilClosed: false })
  // The limits of signing in and of requesting PINs are different ones.
  const entering = useSending()
  const again = useSending()
  const pin = sent.how === 'shown' && typed === '' ? sent.pin : typed
  const isBusy = entering.isBusy || again.isBusy

  const send = () => {
    const asked = asPin(pin)
    setMisshapen(asked === null)
    if (asked !== null) void entering.run(() => enter({ pin: asked, ...choice }))
  }
  const requestAgain = () =>
    again.run(async () => {
      await onAgain?.()
      // A mail can be faster than the response, so the user may have typed the new PIN already.
      setTyped((now) => (now === typed ? '' : now))
      notify(words.newPinMade)
    })

  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <p>{reasonOf()}</p>
      {sent.how === 'shown' && <output class="pin">{sent.pin}</output>}
      <Field
        label={words.pin}
        value={pin}
        onInput={(text) => {
          setTyped(text)
          setMisshapen(false)
        }}
        hint={sent.how === 'email' ? words.pinHint : undefined}
        error={isMisshapen ? words.pinShape : undefined}
        autoComplete="one-time-code"
        // The keys of a phone for digits have no letters.
        inputMode={hasLetters ? 'text' : 'numeric'}
        maxLength={40}
        required
        autoFocus
      />
      {sent.how === 'email' && !hasLetters && (
        <Button kind="quiet" onClick={() => setHasLetters(true)}>
          {words.letters}
        </Button>
      )}
      {'expiresAt' in sent && <Expiry key={sent.expiresAt} expiresAt={sent.expiresAt} />}
      <DeviceFields choice={choice} onChange={setChoice} sending={entering} />
      <Refusal sending={entering} />
      <Refusal sending={again} />
      <Button kind="main" type="submit" disabled={isBusy || entering.waitMs > 0}>
        {entering.isBusy ? words.signingIn : words.signIn}
      </Button>
      <div class="row">
        <Button kind="quiet" onClick={onBack}>
          {words.back}
        </Button>
        {onAgain && (
          <Button kind="quiet" disabled={isBusy || again.waitMs > 0} onClick={() => void requestAgain()}>
            {words.newPin}
          </Button>
        )}
      </div>
    </form>
  )

  function reasonOf(): string {
    if (sent.how === 'shown') return words.pinShown
    if (sent.how === 'email') return words.pinMailed(email)
    return sent.how === 'console' ? words.pinLogged : words.pinFromOperator
  }
}

function Expiry({ expiresAt }: { expiresAt: string }) {
  const leftMs = useCountdown(Date.parse(expiresAt))
  const words = t.value.signIn
  return (
    <div>
      {leftMs > 0 && (
        <p class="soft small" role="timer" aria-live="off">
          {words.pinLives(formatCountdown(leftMs))}
        </p>
      )}
      <div role="status">{leftMs === 0 && <p class="error">{words.pinExpired}</p>}</div>
    </div>
  )
}
