/** All files of a user, one after the other, while others go on changing them. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Caller } from '../../ports/accounts.ts'
import type { FileQuery, SealedFile, SealedTrash, TrashQuery } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { type ContentReader, openContent, wholeOf } from '../crypto/content.ts'
import type { Secrets } from '../crypto/envelope.ts'
import { Damage } from './damage.ts'
import { digestSet } from './digest-set.ts'
import { type StoredFile, unseal } from './stored-file.ts'

/** Rows that are looked at before others are: the fewer, the closer they are to what stands there. */
const PAGE = 100

export interface ExportedFile {
  file: StoredFile & { deletedAt: number | null }
  /** Good until the next file is asked for. */
  bytes: Pick<ContentReader, 'next'>
}

export interface Exports {
  /**
   * Every file and all of the trash that there is now, each once, in a version that stands while this goes on. Only
   * what goes for good meanwhile may be missing. Where a file is damaged, the error names it. Whoever stops early must
   * return the generator: it lets go of the bytes. Noted once the first file is asked for.
   */
  begin(owner: string, caller: Caller): { begunAt: number; files: AsyncGenerator<ExportedFile> }
}

export function openExports({
  ports: { files, trash, blobs, clock },
  rules,
  keys,
  activity,
}: Needs<'files' | 'trash' | 'blobs' | 'clock', 'rules' | 'keys' | 'activity'>): Exports {
  return {
    begin(owner, caller) {
      const begunAt = clock()
      return { begunAt, files: everything(owner, begunAt, caller) }
    },
  }

  async function* everything(owner: string, begunAt: number, caller: Caller): AsyncGenerator<ExportedFile> {
    const vaultKey = await keys.vaultKey(owner)
    activity.note(owner, 'export', caller)
    const done = digestSet()
    const missing = new Map<string, string>()
    // A file may slip between two lists, or be replaced between its row and its bytes. So another round looks for what is
    // left, until there is nothing.
    for (let round = 1, left = true; left; round += 1) {
      left = false
      // By name first, so that the same files come in the same order. A renaming changes that order, so later rounds do not
      // go by it.
      for await (const row of rows(owner, round === 1 ? 'name' : 'createdAt')) {
        if (done.has(row.id)) continue
        // Whoever uploads all the while is not to keep this from ending.
        if (round > 1 && row.createdAt > begunAt) continue
        left = true
        const { file, secrets } = unseal(vaultKey, owner, row)
        const bytes = await open(file, secrets)
        if (bytes) {
          done.add(file.id)
          yield* lent({ file, bytes: naming(file.id, bytes) }, bytes)
        } else if (missing.get(file.id) === file.blob) {
          throw problems.internalError(new Damage(file.id, `its blob ${file.blob} is missing`))
        } else {
          missing.set(file.id, file.blob)
        }
      }
    }
  }

  async function open(file: StoredFile, secrets: Secrets): Promise<ContentReader | null> {
    if (file.sizeBytes === 0) return NOTHING
    return openContent(blobs, file, secrets, wholeOf(file.sizeBytes))
  }

  /** The files in this order, and then the trash. */
  async function* rows(
    owner: string,
    sort: 'name' | 'createdAt',
  ): AsyncGenerator<SealedFile & { deletedAt: number | null }> {
    let after: FileQuery['after'] = null
    do {
      const query: FileQuery = { prefix: '', sort, order: 'asc', after, limit: PAGE }
      const page: SealedFile[] = await files.list(owner, query)
      for (const row of page) yield { ...row, deletedAt: null }
      // On the last round nothing else is waited for.
      await nextTurn()
      const last = page.at(-1)
      after = last && page.length === PAGE ? { key: last[sort], id: last.id } : null
    } while (after)

    const since = clock() - rules.trashMs
    let afterTrash: TrashQuery['after'] = null
    do {
      const page: SealedTrash[] = await trash.list(owner, { since, after: afterTrash, limit: PAGE })
      yield* page
      await nextTurn()
      const last = page.at(-1)
      afterTrash = last && page.length === PAGE ? { deletedAt: last.deletedAt, id: last.id } : null
    } while (afterTrash)
  }
}

async function* lent(file: ExportedFile, bytes: ContentReader): AsyncGenerator<ExportedFile> {
  try {
    yield file
  } finally {
    await bytes.close()
  }
}

const NOTHING: ContentReader = { next: async () => null, close: async () => {} }

/** What goes wrong in the middle is told with the file that it went wrong in. */
function naming(id: string, bytes: ContentReader): Pick<ContentReader, 'next'> {
  return {
    async next() {
      try {
        return await bytes.next()
      } catch (cause) {
        throw new Error(`file ${id} cannot be read to its end`, { cause })
      }
    },
  }
}
