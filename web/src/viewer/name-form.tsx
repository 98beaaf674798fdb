import { etagOf, isVaultError, type StoredFile } from '@minikeepsafe/client'
import { useState } from 'preact/hooks'
import { Field } from '../parts/field.tsx'
import { tell } from '../state/files.ts'
import { attempt, client } from '../state/session.ts'
import { t } from '../words/words.ts'
import { EditForm } from './edit-form.tsx'

interface Props {
  file: StoredFile
  onDone: () => void
}

export function NameForm({ file, onDone }: Props) {
  const words = t.value.viewer
  const [name, setName] = useState(file.name)
  const [error, setError] = useState<string>()

  async function save(): Promise<void> {
    if (name === file.name) return onDone()
    await attempt(async () => {
      try {
        tell({ type: 'file', file: await client.rename(file.name, name, { ifMatch: etagOf(file) }) })
        onDone()
      } catch (error) {
        if (isVaultError(error, 'file-exists')) setError(words.nameTaken)
        else if (isVaultError(error, 'invalid-name') || isVaultError(error, 'invalid-request'))
          setError(words.nameInvalid)
        else throw error
      }
    })
  }

  return (
    <EditForm onSave={save} onCancel={onDone}>
      <Field
        label={words.fileName}
        value={name}
        onInput={setName}
        error={error}
        autoComplete="off"
        autoFocus
        required
      />
    </EditForm>
  )
}
