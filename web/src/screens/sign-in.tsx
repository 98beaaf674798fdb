import { useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { Field } from '../parts/field.tsx'
import { attempt, client, deviceId, signedIn } from '../state/session.ts'
import { t } from '../words/words.ts'

export function SignIn() {
  const words = t.value.signIn
  const [name, setName] = useState('')
  const [email, setEmail] = useState('')
  const [pin, setPin] = useState('')

  const register = () =>
    attempt(async () => {
      const sent = await client.register({ name, email, deviceId: deviceId() })
      if ('pin' in sent) setPin(sent.pin)
    })
  const signIn = () =>
    attempt(async () => {
      await client.signIn({ deviceId: deviceId(), pin, cookie: true })
      await signedIn()
    })

  return (
    <main class="screen stack">
      <h1>{words.title}</h1>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault()
          void (pin === '' ? register() : signIn())
        }}
      >
        <Field label={words.name} value={name} onInput={setName} autoComplete="name" />
        <Field label={words.email} value={email} onInput={setEmail} type="email" autoComplete="email" />
        <Field label={words.pin} value={pin} onInput={setPin} autoComplete="one-time-code" />
        <Button kind="main" type="submit">
          {pin === '' ? words.getPin : words.signIn}
        </Button>
      </form>
    </main>
  )
}
