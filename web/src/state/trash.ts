/** Restoring files, from the trash and by "Undo". */
import { isVaultError, type StoredFile } from '@minikeepsafe/client'
import { t } from '../words/words.ts'
import { tell } from './files.ts'
import { notify } from './notices.ts'
import { client, refreshAccount } from './session.ts'

/** `taken`: another file has the name by now. With `rename` it gets a free name. `gone`: it is not in the trash any more. */
export async function restore(id: string, onConflict?: 'rename'): Promise<StoredFile | 'taken' | 'gone'> {
  try {
    const file = await client.trash.restore(id, onConflict ? { onConflict } : {})
    tell({ type: 'file', file })
    notify(t.value.trash.restored(file.name))
    void refreshAccount()
    return file
  } catch (error) {
    if (isVaultError(error, 'file-exists')) return 'taken'
    if (isVaultError(error, 'file-not-found')) return 'gone'
    throw error
  }
}

/** Deletes it for good. Nothing happens if that was done already, by another device or by time. */
export async function removeForGood(id: string): Promise<void> {
  await client.trash.remove(id).catch((error) => {
    if (!isVaultError(error, 'file-not-found')) throw error
  })
  void refreshAccount()
}

/** `IMG_1 (1).jpg`, as the server numbers a name that is taken. It may have to take a higher number. */
export function numbered(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? `${name.slice(0, dot)} (1)${name.slice(dot)}` : `${name} (1)`
}
