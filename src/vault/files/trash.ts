/** Deleted files: they can be restored for a while and are then removed for good. */
import type { Caller } from '../../ports/accounts.ts'
import type { SealedTrash, TrashQuery } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openAttempts } from './attempts.ts'
import { freeNumberedName } from './stand-ins.ts'
import { readInPieces, type StoredFile, unseal } from './stored-file.ts'

/** Files that are removed in one transaction. Other requests wait for it. */
const BATCH = 25

const IN_TRASH = 'of this id in the trash'

export interface TrashedFile extends StoredFile {
  deletedAt: number
  /** When it is removed for good. */
  expiresAt: number
}

export interface Trash {
  /** One page of the owner's trash, the last deleted first. */
  list(owner: string, page: Pick<TrashQuery, 'after' | 'limit'>): Promise<TrashedFile[]>
  /** Moves a file out of the trash under its former name, or with `rename` under the first free numbered name. */
  restore(owner: string, id: string, onConflict: 'fail' | 'rename'): Promise<StoredFile>
  /** Removes one file for good. */
  remove(owner: string, id: string, caller: Caller): Promise<void>
  /** Removes for good all files that are in the trash now. */
  empty(owner: string, caller: Caller): Promise<void>
  /**
   * Removes for good the expired files in the trash of one user, so that they do not count for the quota. False if
   * there were none.
   */
  expireOf(owner: string): Promise<boolean>
  /** The same for all users. */
  expire(): Promise<void>
}

export function openTrash({
  ports,
  rules,
  keys,
  repeat,
  collect,
  activity,
  unsealPage,
  turns,
}: Needs<
  'files' | 'trash' | 'clock' | 'chance',
  'rules' | 'keys' | 'repeat' | 'collect' | 'activity' | 'unsealPage' | 'turns'
>): Trash {
  const { trash, clock } = ports
  const { repeat: attempts } = openAttempts()

  return {
    async list(owner, page) {
      const vaultKey = await keys.vaultKey(owner)
      const since = clock() - rules.trashMs
      const rows = await readInPieces(
        () => turns.next(owner),
        page,
        (piece) => trash.list(owner, { since, ...piece }),
        ({ deletedAt, id }) => ({ deletedAt, id }),
      )
      const files = await unsealPage(vaultKey, owner, rows)
      return files.map((file) => ({ ...file, expiresAt: file.deletedAt + rules.trashMs }))
    },

    async restore(owner, id, onConflict) {
      const vaultKey = await keys.vaultKey(owner)
      let isTaken = false
      return attempts(owner, async () => {
        if (isTaken) await turns.next(owner)
        const { deletedAt: _deletedAt, ...file } = unseal(vaultKey, owner, await find(owner, id)).file
        const name = isTaken ? await freeNumberedName(ports, owner, file.name) : file.name
        const at = clock()
        const answer = await trash.restore(owner, file, name, at)
        if (answer === 'done') return { ...file, name, namedAt: at }
        if (answer === 'taken' && onConflict === 'fail') throw problems.fileExists()
        isTaken = answer === 'taken'
        return null
      })
    },

    async remove(owner, id, caller) {
      await find(owner, id)
      const version = await trash.remove(owner, id)
      if (!version) throw problems.fileNotFound(IN_TRASH)
      activity.note(owner, 'file-purged', caller, { fileId: id })
      await collect(owner, [version])
    },

    async empty(owner, caller) {
      const now = clock()
      await inBatches(
        owner,
        () => trash.empty(owner, now, BATCH),
        () => activity.note(owner, 'file-purged', caller),
      )
    },

    async expireOf(owner) {
      if (rules.readOnly) return false
      let some = false
      await inBatches(
        owner,
        () => trash.empty(owner, clock() - rules.trashMs, BATCH),
        () => {
          some = true
        },
      )
      return some
    },

    async expire() {
      const expired = clock() - rules.trashMs
      await repeat(async () => {
        const garbage = await trash.expire(expired, BATCH)
        await collect(null, garbage)
        return garbage.length === BATCH
      })
    },
  }

  async function inBatches(owner: string, removeSome: () => Promise<string[]>, begun: () => void): Promise<void> {
    for (let first = true; ; first = false) {
      await turns.next(owner)
      const garbage = await removeSome()
      if (first && garbage.length > 0) begun()
      await collect(owner, garbage)
      if (garbage.length < BATCH) return
    }
  }

  async function find(owner: string, id: string): Promise<SealedTrash> {
    const file = await trash.find(owner, id)
    if (!file || file.deletedAt + rules.trashMs <= clock()) throw problems.fileNotFound(IN_TRASH)
    return file
  }
}
