/** Finds files and trash entries by the SHA-256 of their contents. */
import type { Caller } from '../../ports/accounts.ts'
import type { SealedEntry, SealedTrash } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openSecrets } from '../crypto/envelope.ts'
import { Damage } from './damage.ts'
import { tagsUnder } from './tags.ts'

/** Digests that are looked up in one piece. That takes a few milliseconds, and other requests wait for it. */
const DIGESTS = 100
/** Rows that are read in one piece. */
const ROWS = 250
/** Seals that are opened in one piece. */
const SEALS = 50
/** Verifications of one user that run at the same time in this process: each reads as fast as the store. */
const MOST_AT_ONCE = 2
const RETRY_SECONDS = 30

export interface Found {
  sha256: string
  id: string
  name: string
  sizeBytes: number
  state: 'live' | 'trash'
  verifiedAt: number | null
}

export interface Lookup {
  /**
   * Every file of the owner with one of these digests, and every entry of the trash that has not expired, in pieces and in
   * the order of the digests. A digest that is given twice is answered once. A row whose seal does not open is left out, and
   * noted as damaged. Rows from before tags are found once the sweeper has added their tags.
   *
   * If one content has very many files, they are read page by page. A file that is deleted or restored meanwhile may then be
   * listed twice or not at all.
   *
   * With `verify` each of them is read back first. One that does not open is left out, and noted as damaged. Throws
   * `too-many-requests` if the user has too many verifications at the same time.
   *
   * It ends early once `isWanted` is false: the memory of a request is free for others as soon as its client has left.
   */
  find(
    owner: string,
    digests: string[],
    caller: Caller,
    how: { isWanted(): boolean; verify: boolean },
  ): AsyncGenerator<Found[], void, undefined>
}

export function openLookup({
  ports: { files, trash, clock, alarm },
  rules,
  keys,
  activity,
  readBacks,
  turns,
}: Needs<'files' | 'trash' | 'clock' | 'alarm', 'rules' | 'keys' | 'activity' | 'readBacks' | 'turns'>): Lookup {
  const verifying = new Map<string, number>()

  return {
    async *find(owner, digests, caller, { isWanted, verify }) {
      const entries = found(owner, digests, caller, isWanted)
      if (!verify) {
        for await (const piece of entries) yield piece.map(({ row, sha256 }) => presentable(row, sha256))
        return
      }
      const others = verifying.get(owner) ?? 0
      if (others >= MOST_AT_ONCE) throw problems.tooManyRequests('verifications at once', RETRY_SECONDS)
      verifying.set(owner, others + 1)
      try {
        for await (const piece of entries) {
          for (const { row, sha256 } of piece) {
            if (!isWanted()) return
            if (await opens(owner, row, caller, isWanted)) yield [presentable(row, sha256)]
          }
        }
      } finally {
        const left = (verifying.get(owner) ?? 1) - 1
        if (left > 0) verifying.set(owner, left)
        else verifying.delete(owner)
      }
    },
  }

  async function* found(owner: string, digests: string[], caller: Caller, isWanted: () => boolean) {
    const vaultKey = await keys.vaultKey(owner)
    const tagOf = tagsUnder(vaultKey)
    const distinct = [...new Set(digests)]
    for (let at = 0; at < distinct.length; at += DIGESTS) {
      await turns.next(owner)
      if (!isWanted()) return
      const wanted = distinct.slice(at, at + DIGESTS).map((sha256) => ({ sha256, tag: tagOf(sha256) }))
      const places = new Map(wanted.map(({ tag }, place) => [tag.toString('latin1'), place]))
      const tags = wanted.map(({ tag }) => tag)
      for await (const rows of rowsWith(owner, tags)) {
        const placed = rows.map((row) => ({ row, place: places.get(row.tag?.toString('latin1') ?? '') ?? 0 }))
        placed.sort((one, other) => one.place - other.place)
        for (let row = 0; row < placed.length; row += SEALS) {
          await turns.next(owner)
          if (!isWanted()) return
          yield placed.slice(row, row + SEALS).flatMap(({ row, place }) => {
            const sha256 = digestOf(vaultKey, owner, row, caller)
            // The tag alone is no proof: a writer to the database could have moved it.
            return sha256 !== null && sha256 === wanted[place]?.sha256 ? [{ row, sha256 }] : []
          })
        }
      }
    }
  }

  /** Without expired trash. */
  async function* rowsWith(owner: string, tags: Buffer[]): AsyncGenerator<SealedEntry[]> {
    const since = clock() - rules.trashMs
    const isThere = ({ deletedAt }: SealedEntry) => deletedAt === null || deletedAt > since
    const rows = await files.withTags(owner, tags, ROWS)
    if (rows.length < ROWS) {
      yield rows.filter(isThere)
      return
    }
    for (const tag of tags) for await (const page of pagesOf(owner, tag)) yield page.filter(isThere)
  }

  async function* pagesOf(owner: string, tag: Buffer): AsyncGenerator<SealedEntry[]> {
    for (let after: string | null = null; ; ) {
      await turns.next(owner)
      const page = await files.tagged(owner, tag, { prefix: '', after, limit: ROWS })
      yield page.map((row) => ({ ...row, deletedAt: null }))
      if (page.length < ROWS) break
      after = page.at(-1)?.name ?? null
    }
    for (let after: SealedTrash | null = null; ; ) {
      await turns.next(owner)
      const page: SealedTrash[] = await trash.tagged(owner, tag, after, ROWS)
      yield page
      if (page.length < ROWS) return
      after = page.at(-1) ?? null
    }
  }

  /** `null` if the seal does not open. */
  function digestOf(vaultKey: Buffer, owner: string, row: SealedEntry, caller: Caller): string | null {
    try {
      return openSecrets(vaultKey, owner, row).sha256
    } catch (cause) {
      noteDamage(new Damage(row.id, 'its seal does not open', { cause }), caller)
      return null
    }
  }

  async function opens(owner: string, file: SealedEntry, caller: Caller, isWanted: () => boolean): Promise<boolean> {
    try {
      const result = await readBacks.inspect({ owner, file }, () => {
        if (!isWanted()) throw Object.assign(new Error('the client is gone'), { code: 'ECANCELED' })
      })
      if (result instanceof Damage) noteDamage(result, caller)
      return result === 'opened'
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECANCELED') return false
      throw error
    }
  }

  function noteDamage(error: Damage, caller: Caller): void {
    alarm(error, 'reading a file back')
    activity.noteDamage(error, caller)
  }

  function presentable(row: SealedEntry, sha256: string): Found {
    const { id, name, sizeBytes, deletedAt } = row
    const state = deletedAt === null ? 'live' : 'trash'
    return { sha256, id, name, sizeBytes, state, verifiedAt: readBacks.verifiedAt(row) }
  }
}
