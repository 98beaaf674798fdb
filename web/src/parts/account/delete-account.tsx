import { useState } from 'preact/hooks'
import { notify } from '../../state/notices.ts'
import { attempt, client, left } from '../../state/session.ts'
import { t } from '../../words/words.ts'
import { Confirm } from '../confirm.tsx'
import { Field } from '../field.tsx'

/** The second confirmation: the address, typed. */
export function DeleteAccount({ email, onClose }: { email: string; onClose: () => void }) {
  const words = t.value.account
  const [typed, setTyped] = useState('')
  const remove = () =>
    attempt(async () => {
      await client.account.delete()
      left()
      notify(words.deleted)
    })
  return (
    <Confirm
      title={words.deleteQuestion}
      action={words.deleteNow}
      isDisabled={typed.trim().toLowerCase() !== email.toLowerCase()}
      onConfirm={async () => void (await remove())}
      onClose={onClose}
    >
      <p>{words.deleteText}</p>
      <p>
        <a class="button plain" href={client.urls.export()} download="">
          {words.exportFirst}
        </a>
      </p>
      <Field
        label={words.deleteWord(email)}
        value={typed}
        onInput={setTyped}
        autoComplete="off"
        inputMode="email"
        maxLength={1024}
        autoFocus
      />
    </Confirm>
  )
}
