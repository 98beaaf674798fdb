/** Deleted files: to be restored for a while, then gone for good. */
import type { Caller } from '../../ports/accounts.ts'
import type { SealedTrash, TrashQuery } from '../../ports/files.ts'
import type { Ports, VaultRules } from '../../ports/ports.ts'
import { problems } from '../../problems.ts'
import type { Note } from '../accounts/activity.ts'
import type { Keyring } from '../crypto/keyring.ts'
import type { Collect } from './garbage.ts'
import { freeNumberedName } from './stand-ins.ts'
import { type StoredFile, type UnsealPage, unseal } from './stored-file.ts'

/** Files that are removed in one act: other requests wait for it. */
const BATCH = 100

const IN_TRASH = 'of this id in the trash'

export interface TrashedFile extends StoredFile {
  deletedAt: number
  /** When it is gone for good. */
  expiresAt: number
}

export function trash(
  ports: Ports,
  rules: VaultRules,
  keys: Keyring,
  collect: Collect,
  note: Note,
  unsealPage: UnsealPage,
) {
  const { trash, clock } = ports

  return {
    /** One page of the owner's trash, the last deleted first. */
    async list(owner: string, { after, limit }: Pick<TrashQuery, 'after' | 'limit'>): Promise<TrashedFile[]> {
      const vaultKey = await keys.vaultKey(owner)
      const rows = await trash.list(owner, { since: clock() - rules.trashMs, after, limit })
      const files = await unsealPage(vaultKey, owner, rows)
      return files.map((file) => ({ ...file, expiresAt: file.deletedAt + rules.trashMs }))
    },

    /** Takes a file out of the trash under the name it had, or with `rename` under the first free numbered one. */
    async restore(owner: string, id: string, onConflict: 'fail' | 'rename'): Promise<StoredFile> {
      const vaultKey = await keys.vaultKey(owner)
      let stoodIn: string | null = null
      for (;;) {
        const { deletedAt: _deletedAt, ...file } = unseal(vaultKey, owner, await find(owner, id)).file
        const name: string = stoodIn ?? file.name
        const at = clock()
        const answer = await trash.restore(owner, file, name, at)
        if (answer === 'done') return { ...file, name, namedAt: at }
        if (answer === 'stale') {
          stoodIn = null
          continue
        }
        if (onConflict === 'fail') throw problems.fileExists()
        stoodIn = await freeNumberedName(ports, owner, file.name)
      }
    },

    /** Removes one file for good. */
    async remove(owner: string, id: string, caller: Caller): Promise<void> {
      await find(owner, id)
      const blob = await trash.remove(owner, id)
      if (!blob) throw problems.fileNotFound(IN_TRASH)
      note(owner, 'file-purged', caller, { fileId: id })
      await collect([blob])
    },

    /** Removes for good all that is in the trash now. */
    async empty(owner: string, caller: Caller): Promise<void> {
      const now = clock()
      await inBatches(
        () => trash.empty(owner, now, BATCH),
        () => note(owner, 'file-purged', caller),
      )
    },

    /** The same for one user, whose quota it is not to count against any more. False where there was nothing. */
    async expireOf(owner: string): Promise<boolean> {
      if (rules.readOnly) return false
      let some = false
      await inBatches(
        () => trash.empty(owner, clock() - rules.trashMs, BATCH),
        () => {
          some = true
        },
      )
      return some
    },

    /** Removes for good, for all users, what has been in the trash for long enough. */
    async expire(): Promise<void> {
      const expired = clock() - rules.trashMs
      await inBatches(() => trash.expire(expired, BATCH))
    },
  }

  async function inBatches(removeSome: () => Promise<string[]>, begun = () => {}): Promise<void> {
    for (let first = true; ; first = false) {
      const garbage = await removeSome()
      if (first && garbage.length > 0) begun()
      await collect(garbage)
      if (garbage.length < BATCH) return
    }
  }

  async function find(owner: string, id: string): Promise<SealedTrash> {
    const file = await trash.find(owner, id)
    if (!file || file.deletedAt + rules.trashMs <= clock()) throw problems.fileNotFound(IN_TRASH)
    return file
  }
}
