/** Files: taken in whole or not at all, each under one name of its owner, and handed out again. */
import { createHash } from 'node:crypto'
import type { BlobReader, FileQuery, Ports, StoredFile, VaultRules } from '../ports.ts'
import { problems } from '../problems.ts'
import type { Background } from './background.ts'
import { fileName, numberedName, numberedPrefix, numberIn } from './names.ts'

/** Bytes are hashed and written in batches of about this size: large writes are several times cheaper than small ones. */
const BATCH_BYTES = 1024 * 1024
/** A client may send a byte at a time; each costs far more than a byte to keep. */
const BATCH_CHUNKS = 256

/** Bytes that are on disk, but that nobody can see yet. */
export interface Received {
  blob: string
  sizeBytes: number
  sha256: string
  /** While the database was asked to name the blob and has not answered: after a fault there, a row may name it. */
  offered: boolean
}

export type Receive = (bytes: AsyncIterable<Uint8Array>) => Promise<Received>

export interface Placement {
  file: StoredFile
  /** `created`: new under its name. `replaced`: another version stood there. `same`: this very version stood there. */
  outcome: 'created' | 'replaced' | 'same'
}

export interface PutOptions {
  contentType: string
  /** Throws where what stands under the name, if anything, is not what the caller asked for. */
  guard(current: StoredFile | null): void
  /** Throws where the bytes are not those that the caller meant. */
  check(received: Received): void
}

/** What a form turned out to hold, once all of it was read. */
export interface ReadForm {
  name: string
  contentType: string
  received: Received
}

export interface Range {
  start: number
  /** Inclusive, as in RFC 9110, section 14.1.2. */
  end: number
}

export function files(ports: Ports, rules: VaultRules, run: string, background: Background, doubtful: Set<string>) {
  const { files, ledger, blobs, clock, chance } = ports

  return {
    /** Puts the bytes under exactly this name, in place of what stands there (PUT, RFC 9110, section 9.3.4). */
    put(owner: string, name: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<Placement> {
      return tidily(async (receive) => {
        fileName(name)
        options.guard(await files.find(owner, name))
        const received = await receive(bytes)
        options.check(received)
        for (;;) {
          const current = await files.find(owner, name)
          options.guard(current)
          if (current && sameBytes(current, received) && current.contentType === options.contentType) {
            return { file: current, outcome: 'same' }
          }
          const placement = await place(owner, name, options.contentType, received, current)
          if (placement) return placement
        }
      })
    },

    /**
     * Adds a file that replaces nothing. `readForm` hands the bytes to `receive` and answers what they are called.
     * Where the name is taken by the same bytes the answer is the file that is there; by others, `file-exists`, or with
     * `rename` the first free numbered name.
     */
    add(owner: string, readForm: (receive: Receive) => Promise<ReadForm>, onConflict: 'fail' | 'rename') {
      return tidily(async (receive) => {
        const { name, contentType, received } = await readForm(receive)
        fileName(name)
        for (;;) {
          const spot = await spotFor(owner, name, received, onConflict)
          if (typeof spot !== 'string') return { file: spot, outcome: 'same' }
          const placement = await place(owner, spot, contentType, received, null)
          if (placement) return placement
        }
      })
    },

    /** The owner's file of this name, or `file-not-found`. */
    find,

    /**
     * A file and the bytes of it that `choose` wants, for the caller to close. A version that is replaced in between is
     * looked up again, so what is answered always belongs together.
     */
    async open<Choice extends { range: Range | null }>(
      owner: string,
      name: string,
      choose: (file: StoredFile) => Choice,
    ): Promise<{ choice: Choice; bytes: BlobReader | null }> {
      let missing = ''
      for (;;) {
        const file = await find(owner, name)
        if (file.blob === missing) throw problems.internalError(new Error(`blob ${file.blob} is missing`))
        const choice = choose(file)
        if (!choice.range) return { choice, bytes: null }
        const bytes = await blobs.open(file.blob, choice.range.start, choice.range.end)
        if (bytes) return { choice, bytes }
        missing = file.blob
      }
    },

    /** One page of the owner's files. */
    list(owner: string, query: FileQuery): Promise<StoredFile[]> {
      return files.list(owner, query)
    },
  }

  async function find(owner: string, name: string): Promise<StoredFile> {
    const file = await files.find(owner, fileName(name))
    if (!file) throw problems.fileNotFound()
    return file
  }

  /**
   * Runs an act that receives bytes; what it received and did not place is deleted before this settles. It is waited for
   * before the engines are closed, also where its client has left.
   */
  function tidily(act: (receive: Receive) => Promise<Placement>): Promise<Placement> {
    const placing = placeOrDelete(act)
    background(
      'an upload',
      placing.then(
        () => {},
        () => {},
      ),
    )
    return placing
  }

  async function placeOrDelete(act: (receive: Receive) => Promise<Placement>): Promise<Placement> {
    let received: Received | null = null
    let placement: Placement | null = null
    try {
      placement = await act(async (bytes) => {
        received = await take(bytes)
        return received
      })
      return placement
    } finally {
      const last = received as Received | null
      // The sweeper asks the database whether a row names an offered blob.
      if (last?.offered) doubtful.add(last.blob)
      else if (last && last.blob !== placement?.file.blob) await blobs.delete([last.blob])
    }
  }

  async function take(bytes: AsyncIterable<Uint8Array>): Promise<Received> {
    const blob = `${run}/${chance.id()}`
    const hash = createHash('sha256')
    let sizeBytes = 0
    await blobs.put(blob, batches())
    return { blob, sizeBytes, sha256: hash.digest('hex'), offered: false }

    async function* batches() {
      let batch: Uint8Array[] = []
      let batchBytes = 0
      for await (const chunk of bytes) {
        sizeBytes += chunk.length
        if (sizeBytes > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
        hash.update(chunk)
        batch.push(chunk)
        batchBytes += chunk.length
        if (batchBytes >= BATCH_BYTES || batch.length >= BATCH_CHUNKS) {
          yield batch
          batch = []
          batchBytes = 0
        }
      }
      if (batchBytes > 0) yield batch
    }
  }

  /** Commits the received bytes in place of `current`; `null` where something else stands there by now. */
  async function place(
    owner: string,
    name: string,
    contentType: string,
    received: Received,
    current: StoredFile | null,
  ): Promise<Placement | null> {
    const now = clock()
    const { id, createdAt } = current ?? { id: chance.id(), createdAt: now }
    const { blob, sizeBytes, sha256 } = received
    // Later than any version before, also where the clock is not.
    const updatedAt = current ? Math.max(now, current.updatedAt + 1) : now
    const file = { id, name, sizeBytes, contentType, sha256, createdAt, updatedAt, blob }
    received.offered = true
    const answer = await files.commit(owner, file, current?.blob ?? null)
    received.offered = false
    if (answer === 'run-ended') throw problems.internalError(new Error('this run was ended by another process'))
    if (answer === 'stale') return null
    if (current) background('deleting a replaced blob', deleteGarbage([current.blob]))
    return { file, outcome: current ? 'replaced' : 'created' }
  }

  async function deleteGarbage(garbage: string[]): Promise<void> {
    await blobs.delete(garbage)
    await ledger.forgetGarbage(garbage)
  }

  /** A free name for the bytes, or the file that holds these very bytes already. */
  async function spotFor(owner: string, name: string, received: Received, onConflict: 'fail' | 'rename') {
    const holder = await files.find(owner, name)
    if (!holder) return name
    if (sameBytes(holder, received)) return holder
    if (onConflict === 'fail') throw problems.fileExists()

    const used = new Set<number>()
    for await (const file of filesBeginning(owner, numberedPrefix(name))) {
      const n = numberIn(name, file.name)
      if (n !== null && sameBytes(file, received)) return file
      if (n !== null) used.add(n)
    }
    let free = 1
    while (used.has(free)) free += 1
    return numberedName(name, free)
  }

  async function* filesBeginning(owner: string, prefix: string): AsyncGenerator<StoredFile> {
    const limit = 1000
    let after: FileQuery['after'] = null
    for (;;) {
      const page: StoredFile[] = await files.list(owner, { prefix, sort: 'name', order: 'asc', after, limit })
      yield* page
      const last = page.at(-1)
      if (!last || page.length < limit) return
      after = { key: last.name, id: last.id }
    }
  }
}

function sameBytes(file: StoredFile, received: Received): boolean {
  return file.sha256 === received.sha256 && file.sizeBytes === received.sizeBytes
}
