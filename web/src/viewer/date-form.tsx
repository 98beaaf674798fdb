import { etagOf, type StoredFile } from '@minikeepsafe/client'
import { useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { useId } from '../parts/use-id.ts'
import { ownOffset } from '../pictures/taken-at.ts'
import { tell } from '../state/files.ts'
import { attempt, client } from '../state/session.ts'
import { t } from '../words/words.ts'
import { fieldsOf, takenAtFrom } from './dates.ts'
import { EditForm } from './edit-form.tsx'

interface Props {
  file: StoredFile
  onDone: () => void
}

/** Changes the date by the camera's clock; the offset stays. */
export function DateForm({ file, onDone }: Props) {
  const id = useId()
  const words = t.value.viewer
  const { local: before, offset } = fieldsOf(file.takenAt)
  const [local, setLocal] = useState(before)
  const zone = offset ?? ownOffset(local === '' ? new Date() : new Date(local))

  async function save(takenAt: string | null): Promise<void> {
    await attempt(async () => {
      tell({ type: 'file', file: await client.update(file.name, { takenAt }, { ifMatch: etagOf(file) }) })
      onDone()
    })
  }

  return (
    <EditForm onSave={() => save(local === '' ? null : takenAtFrom(local, offset))} onCancel={onDone}>
      <div class="field">
        <label for={id}>{words.dateTaken}</label>
        <input
          id={id}
          type="datetime-local"
          step="1"
          value={local}
          onInput={({ currentTarget }) => setLocal(currentTarget.value)}
          aria-describedby={`${id}-hint`}
        />
        <p id={`${id}-hint`} class="soft small">
          {words.dateHint(zone)}
        </p>
      </div>
      {file.takenAt !== null && (
        <Button kind="quiet" onClick={() => void save(null)}>
          {words.removeDate}
        </Button>
      )}
    </EditForm>
  )
}
