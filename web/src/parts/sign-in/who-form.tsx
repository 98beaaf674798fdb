import { useState } from 'preact/hooks'
import { t } from '../../words/words.ts'
import { Button } from '../button.tsx'
import { Field } from '../field.tsx'
import { useSending } from '../use-sending.ts'
import { Refusal } from './refusal.tsx'

export interface Person {
  /** `null` for somebody who has a vault already. */
  name: string | null
  email: string
}

interface Props {
  person: Person
  onChange: (person: Person) => void
  /** Requests the PIN. */
  onSend: () => Promise<void>
}

/** The first step: name and address, or the address alone. */
export function WhoForm({ person: { name, email }, onChange, onSend }: Props) {
  const words = t.value.signIn
  const sending = useSending()
  const [typed, setTyped] = useState(name ?? '')
  const isNew = name !== null
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault()
        void sending.run(onSend)
      }}
    >
      <fieldset class="choices">
        <legend class="unseen">{words.who}</legend>
        {[true, false].map((choice) => (
          <label key={String(choice)}>
            <input
              type="radio"
              name="who"
              checked={isNew === choice}
              onChange={() => onChange({ name: choice ? typed : null, email })}
            />
            <span>{choice ? words.isNew : words.hasVault}</span>
          </label>
        ))}
      </fieldset>
      {isNew && (
        <Field
          label={words.name}
          value={name}
          onInput={(name) => {
            setTyped(name)
            onChange({ name, email })
          }}
          error={sending.errorOf('name', words.invalidName)}
          autoComplete="name"
          maxLength={200}
          required
        />
      )}
      <Field
        label={words.email}
        value={email}
        onInput={(email) => onChange({ name, email })}
        hint={words.emailHint}
        error={sending.errorOf('email', words.invalidEmail)}
        type="email"
        inputMode="email"
        autoComplete="email"
        maxLength={1024}
        required
      />
      <Refusal sending={sending} />
      <Button kind="main" type="submit" disabled={sending.isBusy || sending.waitMs > 0}>
        {sending.isBusy ? words.signingIn : words.getPin}
      </Button>
    </form>
  )
}
