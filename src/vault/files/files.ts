/** Files: taken in whole or not at all, each under one name of its owner, and handed out again. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Caller } from '../../ports/accounts.ts'
import type { Displaced, FileQuery, SealedFile, Used } from '../../ports/files.ts'
import type { VaultRules } from '../../ports/ports.ts'
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { type ContentReader, openContent, type Range } from '../crypto/content.ts'
import { type Secrets, sealSecrets } from '../crypto/envelope.ts'
import { runEnded } from './admission.ts'
import { Damage } from './damage.ts'
import { fileName, typeOfName } from './names.ts'
import { openReceiving, type Receive, type Received } from './receiving.ts'
import { freeNumberedName, numberedWithTag } from './stand-ins.ts'
import { type StoredFile, unseal } from './stored-file.ts'
import { tagOf } from './tags.ts'

/** Rows of a scan that are looked at in one piece, which takes a few milliseconds: other requests wait for it. */
const SCAN = 1000
const MOST_SCANNED = 20 * SCAN

export interface Placement {
  file: StoredFile
  /** `created`: new under its name. `replaced`: another version stood there. `same`: this very version stood there. */
  outcome: 'created' | 'replaced' | 'same'
}

/** Throws where what stands under the name, if anything, is not what the caller asked for. */
export type Guard = (current: StoredFile | null) => void

export interface PutOptions {
  /** `null` where the client did not say. */
  contentType: string | null
  /** What becomes of a version with other bytes: it goes to the trash, or is gone at once. */
  replaced: 'trash' | 'discard'
  /** How many bytes will come, where that is known. */
  announcedBytes: number | null
  guard: Guard
  /** Throws where the bytes are not those that the caller meant. */
  check(received: Received): void
}

/** What a form turned out to hold, once all of it was read. */
export interface ReadForm {
  name: string
  /** `null` where the client did not say. */
  contentType: string | null
  received: Received
}

export interface AddOptions {
  /** How many bytes will come, where that is known: a form is larger than its file. */
  announced: { leastBytes: number; mostBytes: number } | null
  /** What to do where the name is taken by other bytes: refuse, or take the first free numbered name. */
  onConflict: 'fail' | 'rename'
}

export interface Files {
  /** Puts the bytes under exactly this name, in place of what stands there (PUT, RFC 9110, section 9.3.4). */
  put(owner: string, anyName: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<Placement>
  /**
   * Adds a file that replaces nothing. `readForm` hands the bytes to `receive` and answers what they are called.
   * Where the name is taken by the same bytes the answer is the file that is there; by others, `file-exists`, or with
   * `rename` the first free numbered name.
   */
  add(owner: string, readForm: (receive: Receive) => Promise<ReadForm>, options: AddOptions): Promise<Placement>
  /** The owner's file of this name, or `file-not-found`. */
  find(owner: string, name: string): Promise<StoredFile>
  /**
   * A file and the bytes of it that `choose` wants, for the caller to close. A version that is replaced in between is
   * looked up again, so what is answered always belongs together.
   */
  open<Choice extends { range: Range | null }>(
    owner: string,
    name: string,
    choose: (file: StoredFile) => Choice,
  ): Promise<{ choice: Choice; bytes: ContentReader | null }>
  /** One page of the owner's files. Where few match, it may end early: then there is more behind `goOn`. */
  list(owner: string, query: FileQuery): Promise<{ files: StoredFile[]; goOn: FileQuery['after'] }>
  /** Gives a file another name. Where another file has it, `file-exists`. */
  rename(owner: string, name: string, anyNewName: string, guard: Guard): Promise<StoredFile>
  /** Moves a file to the trash. */
  discard(owner: string, name: string, guard: Guard, caller: Caller): Promise<void>
}

export function openFiles(
  context: Needs<
    'users' | 'files' | 'blobs' | 'clock' | 'chance',
    'rules' | 'keys' | 'admission' | 'background' | 'doubtfulBlobs' | 'collect' | 'activity' | 'unsealPage' | 'trash'
  >,
): Files {
  const { ports, rules, keys, admission, background, collect, activity, unsealPage, trash } = context
  const { users, files, blobs, clock, chance } = ports
  const tidily = openReceiving(context)

  return {
    put(owner, anyName, bytes, options) {
      return tidily(async (receive) => {
        const name = fileName(anyName)
        let spot = await currentSpot(owner, name)
        options.guard(spot.current)
        if (refusalOf(spot, options) && (await trash.expireOf(owner))) spot = await currentSpot(owner, name)
        const refusal = refusalOf(spot, options)
        if (refusal) throw refusal
        const received = await receive(bytes, reach(spot.used))
        options.check(received)
        for (;;) {
          const placement = await place(owner, options.contentType, received, spot, options.replaced)
          if (placement) return placement
          spot = await currentSpot(owner, name)
          options.guard(spot.current)
        }
      })
    },

    add(owner, readForm, { announced, onConflict }) {
      return tidily<Placement>(async (receive) => {
        const mostBytes = await admitted(owner, announced)
        const { contentType, received, ...form } = await readForm((bytes) => receive(bytes, mostBytes))
        const name = fileName(form.name)
        for (;;) {
          const spot = await spotFor(owner, name, received, onConflict)
          const type = spot.current?.contentType ?? contentType
          const placement = await place(owner, type, received, spot, 'trash')
          if (placement) return placement
        }
      })
    },

    find,

    async open(owner, name, choose) {
      let missing = ''
      for (;;) {
        const { vaultKey, row } = await snapshotOf(owner, fileName(name))
        if (!row) throw problems.fileNotFound()
        const { file, secrets } = unseal(vaultKey, owner, row)
        if (file.blob === missing) {
          throw problems.internalError(new Damage(file.id, `its blob ${file.blob} is missing`))
        }
        const choice = choose(file)
        if (!choice.range) return { choice, bytes: null }
        const bytes = await openContent(blobs, file, secrets, choice.range)
        if (bytes) return { choice, bytes }
        missing = file.blob
      }
    },

    async list(owner, query) {
      const vaultKey = await keys.vaultKey(owner)
      const { prefix, sort } = query
      const { found, goOn } =
        prefix === '' || sort === 'name'
          ? { found: await files.list(owner, query), goOn: null }
          : await scanned(owner, { ...query, sort })
      return { files: await unsealPage(vaultKey, owner, found), goOn }
    },

    async rename(owner, name, anyNewName, guard) {
      const newName = fileName(anyNewName)
      for (;;) {
        const current = await find(owner, name)
        guard(current)
        const at = clock()
        const answer = await files.rename(owner, current, newName, at)
        if (answer === 'taken') throw problems.fileExists('')
        if (answer === 'done')
          return { ...current, name: newName, namedAt: newName === current.name ? current.namedAt : at }
      }
    },

    async discard(owner, name, guard, caller) {
      for (;;) {
        const current = await find(owner, name)
        guard(current)
        if ((await files.discard(owner, current, clock())) === 'stale') continue
        return activity.note(owner, 'file-deleted', caller, { fileId: current.id })
      }
    },
  }

  /** Names that begin so are found along another order only by looking at all names: a request looks at so many. */
  async function scanned(owner: string, query: Parameters<typeof files.scan>[1]) {
    const found: SealedFile[] = []
    let goOn = query.after
    for (let looked = 0; looked < MOST_SCANNED; looked += SCAN) {
      const step = await files.scan(owner, { ...query, after: goOn, limit: query.limit - found.length }, SCAN)
      found.push(...step.found)
      goOn = step.last
      if (goOn === null || found.length === query.limit) break
      await nextTurn()
    }
    return { found, goOn }
  }

  /** What stands under the name, sealed, and the key that opens it. */
  async function snapshotOf(owner: string, name: string) {
    const found = await files.snapshot(owner, name)
    if (!found) throw problems.unauthorized()
    return { vaultKey: keys.open(owner, found.slot), used: found.used, row: found.file }
  }

  async function currentSpot(owner: string, name: string): Promise<Spot & { used: Used }> {
    const { vaultKey, used, row } = await snapshotOf(owner, name)
    const opened = row && unseal(vaultKey, owner, row)
    return { name, vaultKey, used, current: opened?.file ?? null, secrets: opened?.secrets ?? null }
  }

  async function find(owner: string, name: string): Promise<StoredFile> {
    const { current } = await currentSpot(owner, fileName(name))
    if (!current) throw problems.fileNotFound()
    return current
  }

  /** What is decided at the commit can often be told before the bytes come. */
  function refusalOf(
    { used, current }: Spot & { used: Used },
    { announcedBytes, replaced }: Pick<PutOptions, 'announcedBytes' | 'replaced'>,
  ): Problem | null {
    const keeps = current !== null && replaced === 'trash'
    // Of another length they are other bytes; of the same length they may be those that are there.
    if (keeps && (announcedBytes === null || announcedBytes === current.sizeBytes)) return null
    const freedBytes = keeps ? 0 : (current?.sizeBytes ?? 0)
    if (announcedBytes !== null && isOverBytes(used, announcedBytes - freedBytes)) {
      return refusals.quota(rules, keeps && !isOverBytes(used, announcedBytes - current.sizeBytes))
    }
    return (keeps || !current) && isFullOfFiles(used) ? refusals['quota-files'](rules, keeps) : null
  }

  function isOverBytes(used: Pick<Used, 'bytes'>, grownBytes: number): boolean {
    return rules.quota.bytes !== null && grownBytes > 0 && used.bytes + grownBytes > rules.quota.bytes
  }

  function isFullOfFiles(used: Used): boolean {
    return used.files >= rules.quota.files
  }

  /** No file of more bytes can be placed: none that is there is as large, so none is replaced by it without growing. */
  function reach(used: Used): number {
    return rules.quota.bytes === null ? Number.POSITIVE_INFINITY : Math.max(rules.quota.bytes, used.bytes)
  }

  /** How far the quota reaches for a form, whose name is not known yet. */
  async function admitted(owner: string, announced: AddOptions['announced']): Promise<number> {
    // A form that comes at once is refused as soon at the commit, without a question to the database before it.
    if (rules.quota.bytes === null && !announced?.leastBytes) return Number.POSITIVE_INFINITY
    const { bytes, files, trashFiles } = await users.usage(owner)
    const used = { bytes, files: files + trashFiles }
    if (announced) {
      const refusal = isOverBytes(used, announced.leastBytes) ? 'quota' : isFullOfFiles(used) ? 'quota-files' : null
      if (refusal && (await trash.expireOf(owner))) return admitted(owner, announced)
      if (refusal && !(await mayHave(owner, announced))) throw refusals[refusal](rules, false)
    }
    return reach(used)
  }

  /** Bytes that may be there already, as after a lost answer, may come again: then they take no room. */
  async function mayHave(owner: string, { leastBytes, mostBytes }: NonNullable<AddOptions['announced']>) {
    const after = { key: leastBytes, id: '' }
    const [next] = await files.list(owner, { prefix: '', sort: 'size', order: 'asc', after, limit: 1 })
    return next !== undefined && next.sizeBytes <= mostBytes
  }

  /**
   * Commits the received bytes in place of what stood in the spot; `null` where that is to be looked at once more. Where the
   * bytes are the same, only their blob is another: whoever sends them again mends what may have been damaged on the disk.
   */
  async function place(
    owner: string,
    givenType: string | null,
    received: Received,
    { name, vaultKey, current, secrets }: Spot,
    replaced: PutOptions['replaced'],
  ): Promise<Placement | null> {
    const now = clock()
    const sameContent = current !== null && sameBytes(current, received)
    const contentType = givenType ?? (sameContent ? current.contentType : typeOfName(name))
    const { id, createdAt } = current ?? { id: chance.id(), createdAt: now }
    const { blob, sizeBytes, sha256 } = received
    const same = sameContent && current.contentType === contentType
    // A new version is later than any before, also where the clock is not.
    const changedAt = current ? Math.max(now, current.updatedAt + 1) : now
    const updatedAt = same ? current.updatedAt : changedAt
    const namedAt = same ? current.namedAt : now
    const file = { id, name, sizeBytes, contentType, createdAt, updatedAt, namedAt, blob }
    const seal = sealSecrets(vaultKey, chance.bytes(12), owner, id, received)
    const row = { ...file, seal, tag: tagOf(vaultKey, sha256) }
    const displaced = secrets && !sameContent && replaced === 'trash' ? entryFor(owner, vaultKey, secrets, now) : null
    const seen = current?.blob ?? null
    const answer = await received.offer(() => files.commit(owner, row, seen, rules.quota, displaced))
    if (answer === 'stale') return null
    if (answer === 'run-ended') admission.end(blob.slice(0, blob.indexOf('/')))
    // What has expired does not count.
    if ((answer === 'quota' || answer === 'quota-files') && (await trash.expireOf(owner))) return null
    if (answer !== 'done') {
      const keeps = displaced !== null && (await fitsInstead(owner, current, sizeBytes))
      throw refusals[answer](rules, keeps)
    }
    if (current && !displaced) background('deleting a replaced blob', collect([current.blob]))
    return { file: { ...file, sha256 }, outcome: same ? 'same' : current ? 'replaced' : 'created' }
  }

  /** Whether there is room for so many bytes where the version that they replace does not go to the trash. */
  async function fitsInstead(owner: string, current: StoredFile | null, sizeBytes: number): Promise<boolean> {
    return !isOverBytes(await users.usage(owner), sizeBytes - (current?.sizeBytes ?? 0))
  }

  /** The entry of the trash that a replaced version becomes. */
  function entryFor(owner: string, vaultKey: Buffer, secrets: Secrets, deletedAt: number): Displaced {
    const id = chance.id()
    return { id, seal: sealSecrets(vaultKey, chance.bytes(12), owner, id, secrets), deletedAt }
  }

  /** A free name for the bytes, or the file that holds these very bytes already. */
  async function spotFor(
    owner: string,
    name: string,
    received: Received,
    onConflict: AddOptions['onConflict'],
  ): Promise<Spot> {
    const spot = await currentSpot(owner, name)
    const { current: holder, vaultKey } = spot
    if (!holder || sameBytes(holder, received)) return spot
    if (onConflict === 'fail') throw problems.fileExists()

    for await (const row of numberedWithTag(files, owner, name, tagOf(vaultKey, received.sha256))) {
      const { file, secrets } = unseal(vaultKey, owner, row)
      if (sameBytes(file, received)) return { name: file.name, vaultKey, current: file, secrets }
    }
    return { name: await freeNumberedName(ports, owner, name), vaultKey, current: null, secrets: null }
  }
}

/** A name, what stands under it, and the key of whoever owns both. */
interface Spot {
  name: string
  vaultKey: Buffer
  current: StoredFile | null
  /** Those of the version that stands there. */
  secrets: Secrets | null
}

/** `keeps`: the version that was to be replaced would have gone to the trash, and there is room without that. */
const refusals = {
  quota: ({ quota }: VaultRules, keeps: boolean) => problems.quotaExceeded(quota.bytes as number, 'bytes', keeps),
  'quota-files': ({ quota }: VaultRules, keeps: boolean) => problems.quotaExceeded(quota.files, 'files', keeps),
  gone: () => problems.unauthorized(),
  'run-ended': () => runEnded(),
}

function sameBytes(file: StoredFile, received: Received): boolean {
  return file.sha256 === received.sha256 && file.sizeBytes === received.sizeBytes
}
