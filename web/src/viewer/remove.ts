import { etagOf, isVaultError, type StoredFile } from '@minikeepsafe/client'
import { tell } from '../state/files.ts'
import { notify } from '../state/notices.ts'
import { attempt, client, refreshAccount } from '../state/session.ts'
import { t } from '../words/words.ts'

let isRemoving = false

/** Moves the file to the trash, and offers to undo it. `onRestored` is called after that. */
export async function moveToTrash(file: StoredFile, onRestored: (file: StoredFile) => void): Promise<void> {
  if (isRemoving) return
  isRemoving = true
  try {
    const isDone = await attempt(async () => {
      await client.remove(file.name, { ifMatch: etagOf(file) }).catch((error) => {
        // It is gone already, for example by another device.
        if (!isVaultError(error, 'file-not-found')) throw error
      })
      return true
    })
    if (!isDone) return
    tell({ type: 'gone', id: file.id })
    const words = t.value.viewer
    notify(words.movedToTrash(file.name), { action: { label: words.undo, run: () => void restore() } })
    void refreshAccount()
  } finally {
    isRemoving = false
  }

  async function restore(): Promise<void> {
    const restored = await attempt(() => client.trash.restore(file.id, { onConflict: 'rename' }))
    if (!restored) return
    tell({ type: 'file', file: restored })
    onRestored(restored)
    void refreshAccount()
  }
}
