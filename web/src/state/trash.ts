/** Restoring files, from the trash and by "Undo". */
import { isVaultError, type StoredFile } from '@minikeepsafe/client'
import { t } from '../words/words.ts'
import { tell } from './files.ts'
import { notify } from './notices.ts'
import { client, refreshAccount } from './session.ts'

/** `taken`: another file has the name by now. With `rename` it gets a free name. */
export async function restore(id: string, onConflict?: 'rename'): Promise<StoredFile | 'taken'> {
  try {
    const file = await client.trash.restore(id, onConflict ? { onConflict } : {})
    tell({ type: 'file', file })
    notify(t.value.trash.restored(file.name))
    void refreshAccount()
    return file
  } catch (error) {
    if (isVaultError(error, 'file-exists')) return 'taken'
    throw error
  }
}

/** `IMG_1 (1).jpg`, as the server numbers a name that is taken. It may have to take a higher number. */
export function numbered(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? `${name.slice(0, dot)} (1)${name.slice(dot)}` : `${name} (1)`
}
