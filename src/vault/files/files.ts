/** Files. An upload is stored whole or not at all, under one name of its owner. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Caller } from '../../ports/accounts.ts'
import type { Displaced, FileQuery, SealedFile, Used } from '../../ports/files.ts'
import type { VaultRules } from '../../ports/ports.ts'
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { type ContentReader, openContent, type Range } from '../crypto/content.ts'
import { type Secrets, sealSecrets } from '../crypto/envelope.ts'
import { runEnded } from './admission.ts'
import { missingBlob } from './damage.ts'
import { fileName, typeOfName } from './names.ts'
import { openReceiving, type Receive, type Received } from './receiving.ts'
import { freeNumberedName, numberedWithTag } from './stand-ins.ts'
import { inPieces, type StoredFile, unseal } from './stored-file.ts'
import { tagOf } from './tags.ts'

/** Rows of a scan that are read in one piece. That takes a few milliseconds, and other requests wait for it. */
const SCAN = 250
const MOST_SCANNED = 20_000

export interface Placement {
  file: StoredFile
  /** `created`: the name had no file. `replaced`: the name had another version. `same`: the name had this very version. */
  outcome: 'created' | 'replaced' | 'same'
}

/** Throws if the file of the name, or its absence, is not what the caller requires. */
export type Guard = (current: StoredFile | null) => void

export interface PutOptions {
  /** `null` if the client did not name a type. */
  contentType: string | null
  /** Whether a replaced version with other bytes goes to the trash or is deleted at once. */
  replaced: 'trash' | 'discard'
  /** The announced number of bytes; `null` if it is not known. */
  announcedBytes: number | null
  guard: Guard
  /** Throws if the bytes are not those that the client intended. */
  check(received: Received): void
}

/** The fields of a form after the whole form was read. */
export interface ReadForm {
  name: string
  /** `null` if the client did not name a type. */
  contentType: string | null
  received: Received
}

export interface AddOptions {
  /** Bounds of the number of bytes, or `null` if they are not known. A form is larger than its file. */
  announced: { leastBytes: number; mostBytes: number } | null
  /** If the name is taken by other bytes: refuse, or use the first free numbered name. */
  onConflict: 'fail' | 'rename'
}

export interface Files {
  /** Puts the bytes under exactly this name and replaces the file there (PUT, RFC 9110, section 9.3.4). */
  put(owner: string, anyName: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<Placement>
  /**
   * Adds a file that replaces nothing. `readForm` passes the bytes to `receive` and returns their name. If the name is
   * taken by the same bytes, the result is the existing file. If it is taken by other bytes, the result is
   * `file-exists`, or with `rename` the first free numbered name.
   */
  add(owner: string, readForm: (receive: Receive) => Promise<ReadForm>, options: AddOptions): Promise<Placement>
  /** The owner's file of this name, or `file-not-found`. */
  find(owner: string, name: string): Promise<StoredFile>
  /**
   * A file, and the bytes that `choose` selects; the caller closes them. If the version is replaced in between, the row
   * is read again, so file and bytes always belong together.
   */
  open<Choice extends { range: Range | null }>(
    owner: string,
    name: string,
    choose: (file: StoredFile) => Choice,
  ): Promise<{ choice: Choice; bytes: ContentReader | null }>
  /**
   * One page of the owner's files. If few files match, the page may be short; then `goOn` is not `null` and the list
   * goes on there.
   */
  list(owner: string, query: FileQuery): Promise<{ files: StoredFile[]; goOn: FileQuery['after'] }>
  /** Renames a file. `file-exists` if another file has the name. */
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
  const { users, files, clock, chance } = ports
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
        const received = await receive(bytes, largestFitting(spot.used))
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
        const { vaultKey, row, firstPart } = await snapshotOf(owner, fileName(name))
        if (!row) throw problems.fileNotFound()
        const { file, secrets } = unseal(vaultKey, owner, row)
        if (file.version === missing) throw problems.internalError(missingBlob(file, firstPart))
        const choice = choose(file)
        if (!choice.range) return { choice, bytes: null }
        const bytes = await openContent(ports, file, secrets, choice.range, firstPart)
        if (bytes) return { choice, bytes }
        missing = file.version
      }
    },

    async list(owner, query) {
      const vaultKey = await keys.vaultKey(owner)
      const { prefix, sort } = query
      const { found, goOn } =
        prefix === '' || sort === 'name'
          ? { found: await listed(owner, query), goOn: null }
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

  function listed(owner: string, query: Parameters<typeof files.list>[1]) {
    const field = query.sort === 'size' ? 'sizeBytes' : query.sort
    return inPieces(
      query,
      (piece) => files.list(owner, { ...query, ...piece }),
      (row) => ({ key: row[field], id: row.id }),
    )
  }

  /**
   * In any order but by name, a prefix is found only by reading all rows. One request reads at most `MOST_SCANNED`
   * rows.
   */
  async function scanned(owner: string, query: Parameters<typeof files.scan>[1]) {
    const found: SealedFile[] = []
    let goOn = query.after
    for (let scannedRows = 0; scannedRows < MOST_SCANNED; scannedRows += SCAN) {
      const step = await files.scan(owner, { ...query, after: goOn, limit: query.limit - found.length }, SCAN)
      found.push(...step.found)
      goOn = step.last
      if (goOn === null || found.length === query.limit) break
      await nextTurn()
    }
    return { found, goOn }
  }

  /** The sealed row of the name, and the key that opens it. */
  async function snapshotOf(owner: string, name: string) {
    const found = await files.snapshot(owner, name)
    if (!found) throw problems.unauthorized()
    const { used, file: row, firstPart } = found
    return { vaultKey: keys.open(owner, found.slot), used, row, firstPart }
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

  /** The refusal that is certain before the bytes arrive; `null` if only the commit can decide. */
  function refusalOf(
    { used, current }: Spot & { used: Used },
    { announcedBytes, replaced }: Pick<PutOptions, 'announcedBytes' | 'replaced'>,
  ): Problem | null {
    const keeps = current !== null && replaced === 'trash'
    // A body of another length has other bytes. A body of the same length may have the same bytes.
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

  /** The largest upload that can fit. A larger upload always increases usage, so it cannot fit the quota. */
  function largestFitting(used: Used): number {
    return rules.quota.bytes === null ? Number.POSITIVE_INFINITY : Math.max(rules.quota.bytes, used.bytes)
  }

  /** The largest upload that the quota allows for a form, whose name is not known yet. */
  async function admitted(owner: string, announced: AddOptions['announced']): Promise<number> {
    // Without a quota of bytes, the commit refuses a form that arrives at once just as soon. This saves a round trip.
    if (rules.quota.bytes === null && !announced?.leastBytes) return Number.POSITIVE_INFINITY
    const { bytes, files, trashFiles } = await users.usage(owner)
    const used = { bytes, files: files + trashFiles }
    if (announced) {
      const refusal = isOverBytes(used, announced.leastBytes) ? 'quota' : isFullOfFiles(used) ? 'quota-files' : null
      if (refusal && (await trash.expireOf(owner))) return admitted(owner, announced)
      if (refusal && !(await mayHaveAlready(owner, announced))) throw refusals[refusal](rules, false)
    }
    return largestFitting(used)
  }

  /** True if the same bytes may be there already, for example after a lost response. Then the upload needs no space. */
  async function mayHaveAlready(owner: string, { leastBytes, mostBytes }: NonNullable<AddOptions['announced']>) {
    const after = { key: leastBytes, id: '' }
    const [next] = await files.list(owner, { prefix: '', sort: 'size', order: 'asc', after, limit: 1 })
    return next !== undefined && next.sizeBytes <= mostBytes
  }

  /**
   * Commits the received bytes in place of the file of the spot. `null` if the spot must be read and tried again. The
   * same bytes also replace their blob: so a repeated upload repairs a blob that is damaged on the disk.
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
    // A new version is later than every earlier one, even if the clock is not.
    const changedAt = current ? Math.max(now, current.updatedAt + 1) : now
    const updatedAt = same ? current.updatedAt : changedAt
    const namedAt = same ? current.namedAt : now
    const file = { id, name, sizeBytes, contentType, createdAt, updatedAt, namedAt, version: chance.id() }
    const seal = sealSecrets(vaultKey, chance.bytes(12), owner, id, received)
    const row = { ...file, blob, seal, tag: tagOf(vaultKey, sha256) }
    const displaced = secrets && !sameContent && replaced === 'trash' ? entryFor(owner, vaultKey, secrets, now) : null
    const seen = current?.version ?? null
    const answer = await received.offer(() => files.commit(owner, row, seen, rules.quota, displaced))
    if (answer === 'stale') return null
    if (answer === 'run-ended') admission.end(blob.slice(0, blob.indexOf('/')))
    // Expired trash does not count for the quota.
    if ((answer === 'quota' || answer === 'quota-files') && (await trash.expireOf(owner))) return null
    if (answer !== 'done') {
      const keeps = displaced !== null && (await fitsInstead(owner, current, sizeBytes))
      throw refusals[answer](rules, keeps)
    }
    if (current && !displaced) background('deleting a replaced version', collect([current.version]))
    return { file: { ...file, sha256 }, outcome: same ? 'same' : current ? 'replaced' : 'created' }
  }

  /** True if the bytes would fit without moving the replaced version to the trash. */
  async function fitsInstead(owner: string, current: StoredFile | null, sizeBytes: number): Promise<boolean> {
    return !isOverBytes(await users.usage(owner), sizeBytes - (current?.sizeBytes ?? 0))
  }

  /** The trash entry of a replaced version. */
  function entryFor(owner: string, vaultKey: Buffer, secrets: Secrets, deletedAt: number): Displaced {
    const id = chance.id()
    return { id, seal: sealSecrets(vaultKey, chance.bytes(12), owner, id, secrets), deletedAt }
  }

  /** The spot of a free name, or of the file that has these very bytes already. */
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

/** A name, its file, and the vault key of its owner. */
interface Spot {
  name: string
  vaultKey: Buffer
  current: StoredFile | null
  /** The secrets of the current version. */
  secrets: Secrets | null
}

/** `keeps`: the replaced version would have gone to the trash, and the bytes fit without that. */
const refusals = {
  quota: ({ quota }: VaultRules, keeps: boolean) => problems.quotaExceeded(quota.bytes as number, 'bytes', keeps),
  'quota-files': ({ quota }: VaultRules, keeps: boolean) => problems.quotaExceeded(quota.files, 'files', keeps),
  gone: () => problems.unauthorized(),
  'run-ended': () => runEnded(),
}

function sameBytes(file: StoredFile, received: Received): boolean {
  return file.sha256 === received.sha256 && file.sizeBytes === received.sizeBytes
}
