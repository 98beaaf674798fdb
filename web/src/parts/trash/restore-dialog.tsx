import type { TrashedFile } from '@minikeepsafe/client'
import { attempt } from '../../state/session.ts'
import { numbered, restore } from '../../state/trash.ts'
import { t } from '../../words/words.ts'
import { Confirm } from '../confirm.tsx'

interface Props {
  file: TrashedFile
  onRestored: () => void
  onClose: () => void
}

/** Another file has the name by now: offers a numbered one. */
export function RestoreDialog({ file, onRestored, onClose }: Props) {
  const words = t.value.trash
  const newName = numbered(file.name)
  return (
    <Confirm
      title={words.takenTitle}
      action={words.restoreAs(newName)}
      isDanger={false}
      onClose={onClose}
      onConfirm={async () => {
        if (await attempt(() => restore(file.id, 'rename'))) onRestored()
      }}
    >
      <p>{words.takenText(file.name, newName)}</p>
    </Confirm>
  )
}
