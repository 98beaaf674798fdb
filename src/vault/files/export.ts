/** Reads all files of a user one by one, while other requests change them. */
import type { Caller } from '../../ports/accounts.ts'
import type { FileQuery, LiveOrTrashed, SealedFile, SealedTrash, TrashQuery } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { type ContentReader, openContent, wholeOf } from '../crypto/content.ts'
import type { Secrets } from '../crypto/envelope.ts'
import { missingBlob } from './damage.ts'
import { digestSet } from './digest-set.ts'
import { type StoredFile, unseal } from './stored-file.ts'

/** Rows in one page. Fewer rows are more likely to be still valid when their files are read. */
const PAGE = 100

export interface ExportedFile {
  file: StoredFile & { deletedAt: number | null }
  /** Valid until the next file is requested. */
  bytes: Pick<ContentReader, 'next'>
}

export interface Exports {
  /**
   * Every live file and the whole trash, each exactly once, in a version that exists during the export. Only files that
   * are removed for good meanwhile may be missing. If a file is damaged, the error names it. A caller that stops early
   * must return the generator, which releases the bytes. The export is noted in the activity list once the first file
   * is requested.
   *
   * Live files whose names `comesFirst` accepts come before all other live files, both in the order of their names.
   * Only files that change meanwhile may come later. `comesFirst` is called right before its file, so it may depend on
   * earlier files.
   */
  begin(
    owner: string,
    caller: Caller,
    comesFirst: (name: string) => boolean,
  ): { begunAt: number; files: AsyncGenerator<ExportedFile> }
  /**
   * The live files and trash entries with these ids, each once and in this order, and under `chosen` what they are called.
   * `file-not-found` if the owner does not have all of them. Only files that are removed for good meanwhile may be missing.
   * It is a download like any other, and not noted in the activity list.
   */
  choose(
    owner: string,
    ids: string[],
  ): Promise<{ begunAt: number; chosen: Pick<StoredFile, 'id' | 'name'>[]; files: AsyncGenerator<ExportedFile> }>
}

export function openExports({
  ports: { files, trash, blobs, clock },
  rules,
  keys,
  activity,
  readBacks,
  turns,
}: Needs<'files' | 'trash' | 'blobs' | 'clock', 'rules' | 'keys' | 'activity' | 'readBacks' | 'turns'>): Exports {
  return {
    begin(owner, caller, comesFirst) {
      const begunAt = clock()
      return { begunAt, files: everything(owner, begunAt, caller, comesFirst) }
    },

    async choose(owner, ids) {
      await turns.next(owner)
      const chosen = await present(owner, ids)
      if (chosen.length < ids.length) throw problems.fileNotFound('of one of these ids')
      return { begunAt: clock(), chosen, files: some(owner, ids) }
    },
  }

  async function* some(owner: string, ids: string[]): AsyncGenerator<ExportedFile> {
    const vaultKey = await keys.vaultKey(owner)
    for (const id of ids) {
      let missing = ''
      for (let left = true; left; ) {
        await turns.next(owner)
        const [row] = await present(owner, [id])
        left = false
        if (!row) continue
        const { file, secrets } = unseal(vaultKey, owner, row)
        const bytes = await open(file, secrets)
        if (bytes) yield* lent({ file, bytes: namingFile(id, bytes) }, bytes)
        else if (file.version === missing) throw await withoutBlob(file)
        // The version was replaced between the reads of its row and its bytes.
        else left = true
        missing = file.version
      }
    }
  }

  /** The files with these ids, and the trash entries that are not over. */
  async function present(owner: string, ids: string[]): Promise<LiveOrTrashed[]> {
    const since = clock() - rules.trashMs
    const rows = await files.withIds(owner, ids)
    return rows.filter(({ deletedAt }) => deletedAt === null || deletedAt > since)
  }

  async function withoutBlob(file: StoredFile): Promise<Error> {
    const [part = null] = await files.parts(file.version, 0, 1)
    return problems.internalError(missingBlob(file, part))
  }

  async function* everything(
    owner: string,
    begunAt: number,
    caller: Caller,
    comesFirst: (name: string) => boolean,
  ): AsyncGenerator<ExportedFile> {
    const vaultKey = await keys.vaultKey(owner)
    activity.note(owner, 'export', caller)
    const done = digestSet()
    const missing = new Map<string, string>()
    let waiting = false
    // A file may move between the two lists, or be replaced between the reads of its row and its bytes. So further
    // rounds follow until a round finds nothing new.
    for (let round = 1, left = true; left; round += 1) {
      // The files that come first, and then those that wait for them, are ordered by name, so that the same files have
      // the same order. A rename changes that order, so further rounds, at least one, are ordered by creation.
      const byName = round === 1 || (round === 2 && waiting)
      left = byName
      for await (const row of rows(owner, byName ? 'name' : 'createdAt')) {
        if (done.has(row.id)) continue
        if (round === 1 && row.deletedAt === null && !comesFirst(row.name)) {
          waiting = true
          continue
        }
        // Otherwise a client that uploads all the time could keep the export from ending.
        if (!byName && row.createdAt > begunAt) continue
        left = true
        // Small files cost much more than their bytes.
        await turns.next(owner)
        const { file, secrets } = unseal(vaultKey, owner, row)
        const bytes = await open(file, secrets)
        if (bytes) {
          done.add(file.id)
          yield* lent({ file, bytes: namingFile(file.id, bytes) }, bytes)
        } else if (missing.get(file.id) === file.version) {
          throw await withoutBlob(file)
        } else {
          missing.set(file.id, file.version)
        }
      }
    }
  }

  async function open(file: StoredFile, secrets: Secrets): Promise<ContentReader | null> {
    if (file.sizeBytes === 0) return NOTHING
    const whole = wholeOf(file.sizeBytes)
    const bytes = await openContent({ files, blobs }, file, secrets, whole)
    return bytes && readBacks.watch(file, whole, bytes)
  }

  /** The files in this order, then the trash. */
  async function* rows(owner: string, sort: 'name' | 'createdAt'): AsyncGenerator<LiveOrTrashed> {
    let after: FileQuery['after'] = null
    do {
      const query: FileQuery = { prefix: '', sort, order: 'asc', after, limit: PAGE }
      await turns.next(owner)
      const page: SealedFile[] = await files.list(owner, query)
      for (const row of page) yield { ...row, deletedAt: null }
      const last = page.at(-1)
      after = last && page.length === PAGE ? { key: last[sort], id: last.id } : null
    } while (after)

    const since = clock() - rules.trashMs
    let afterTrash: TrashQuery['after'] = null
    do {
      await turns.next(owner)
      const page: SealedTrash[] = await trash.list(owner, { since, after: afterTrash, limit: PAGE })
      yield* page
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

/** Adds the id of the file to each error of its reader. The code stays: it says whether the store cannot be reached. */
function namingFile(id: string, bytes: ContentReader): Pick<ContentReader, 'next'> {
  return {
    async next() {
      try {
        return await bytes.next()
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException
        throw Object.assign(new Error(`file ${id} cannot be read to its end`, { cause }), { code })
      }
    },
  }
}
