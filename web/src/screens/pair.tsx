import '../parts/sign-in/sign-in.css'
import { useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { DeviceFields } from '../parts/sign-in/device-fields.tsx'
import { Entrance } from '../parts/sign-in/entrance.tsx'
import { Refusal } from '../parts/sign-in/refusal.tsx'
import { useSending } from '../parts/use-sending.ts'
import { deviceName } from '../state/device-name.ts'
import { enter } from '../state/entering.ts'
import { pairing } from '../state/pairing.ts'
import { account } from '../state/session.ts'
import { t } from '../words/words.ts'

/** Asks before the link of a pairing picture signs this device in. */
export function Pair() {
  const words = t.value.signIn
  const asked = pairing.value
  const [choice, setChoice] = useState({ name: deviceName(), untilClosed: false })
  const sending = useSending()
  const leave = () => {
    pairing.value = null
  }

  if (asked === null || asked === 'invalid') {
    return (
      <Entrance title={words.pairTitle}>
        <p role="alert">{words.pairInvalid}</p>
        <Button onClick={leave}>{words.back}</Button>
      </Entrance>
    )
  }
  const user = account.value
  return (
    <Entrance title={words.pairTitle}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault()
          void sending.run(async () => {
            await enter({ pin: asked.pin, pairedId: asked.deviceId, ...choice })
            leave()
          })
        }}
      >
        <p>{words.pairText}</p>
        {user && <p class="caution">{words.pairReplaces(user.name, user.email)}</p>}
        <DeviceFields choice={choice} onChange={setChoice} sending={sending} />
        <Refusal sending={sending} wrongPin={words.pairRefused} />
        <Button kind="main" type="submit" disabled={sending.isBusy || sending.waitMs > 0}>
          {sending.isBusy ? words.signingIn : words.signIn}
        </Button>
        <Button kind="quiet" onClick={leave}>
          {words.notNow}
        </Button>
      </form>
    </Entrance>
  )
}
