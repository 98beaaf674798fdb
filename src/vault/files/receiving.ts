/**
 * Receives uploads: bytes are hashed, sealed and stored under an id that no row names yet. Then they are placed or
 * deleted.
 */
import { createHash } from 'node:crypto'
import { Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { FRAME_BYTES, frameSealer, ONE_PART, type Secrets } from '../crypto/envelope.ts'
import { type Admission, changedNothing, runEnded, whileAdmitted } from './admission.ts'
import type { DoubtfulBlobs } from './doubtful-blobs.ts'

/** Bytes that are hashed, sealed and written at a time. Large pieces are several times cheaper than small ones. */
const PIECE_BYTES = 16 * FRAME_BYTES
/**
 * The size of pieces while many uploads run at once. The memory of larger pieces would be used for so long that it
 * survives the cheap rounds of the garbage collector.
 */
const PIECE_OF_MANY_BYTES = 4 * FRAME_BYTES
const MANY = 4
/** A client may send one byte at a time, and each chunk needs far more memory than a byte. */
const CRUMB_BYTES = 1024
const CRUMBS = 256

/** Bytes that are stored, but that no row names yet. */
export interface Received extends Secrets {
  blob: string
  /**
   * Runs the commit that makes a part name the blob, if its answer is `done`. If it throws and may have happened, the
   * blob becomes doubtful and is not deleted here.
   */
  offer<Answer>(commit: () => Promise<Answer>): Promise<Answer>
}

export type Receive = (bytes: AsyncIterable<Uint8Array>) => Promise<Received>

/** Receives at most `mostBytes`, the largest upload that the quota allows. */
type ReceiveUpTo = (bytes: AsyncIterable<Uint8Array>, mostBytes: number) => Promise<Received>

/**
 * Runs an upload, which receives bytes and returns the file with their blob. Received bytes that were not placed are
 * deleted before the result settles. Closing the vault waits for it, even if the client has left.
 */
export type Receiving = <Placement>(upload: (receive: ReceiveUpTo) => Promise<Placement>) => Promise<Placement>

export function openReceiving({
  ports: { blobs, chance },
  rules,
  admission,
  background,
  doubtfulBlobs,
}: Needs<'blobs' | 'chance', 'rules' | 'background'> & {
  admission: Pick<Admission, 'admit' | 'run' | 'isOver'>
  doubtfulBlobs: Pick<DoubtfulBlobs, 'add'>
}): Receiving {
  const { admit, run, isOver } = admission
  let underWay = 0

  return (upload) => {
    const placing = placeOrDelete(upload)
    background(
      'an upload',
      placing.then(
        () => {},
        () => {},
      ),
    )
    return placing
  }

  async function placeOrDelete<Placement>(upload: (receive: ReceiveUpTo) => Promise<Placement>): Promise<Placement> {
    let reception: Reception | null = null
    underWay += 1
    try {
      await admit()
      return await upload(async (bytes, mostBytes) => {
        reception = await take(bytes, mostBytes)
        return reception.received
      })
    } finally {
      underWay -= 1
      const last = reception as Reception | null
      if (last?.state() === 'in doubt') doubtfulBlobs.add(last.received.blob)
      if (last?.state() === 'not placed') await blobs.delete([last.received.blob])
    }
  }

  function pieceBytes() {
    return underWay > MANY ? PIECE_OF_MANY_BYTES : PIECE_BYTES
  }

  async function take(bytes: AsyncIterable<Uint8Array>, mostBytes: number): Promise<Reception> {
    const ours = run()
    const blob = `${ours}/${chance.id()}`
    const fileKey = chance.bytes(32)
    const hash = createHash('sha256')
    let sizeBytes = 0
    try {
      await blobs.put(blob, whileAdmitted(batches(), admit))
    } catch (error) {
      // A store that did not answer may have the blob.
      if ((error as NodeJS.ErrnoException).code === 'EUNREACHABLE') doubtfulBlobs.add(blob)
      // A process that ended the run may also have removed the place where its blobs are stored.
      if (!(error instanceof Problem) && (await isOver(ours).catch(() => false))) throw runEnded(error)
      throw error
    }
    let state: ReturnType<Reception['state']> = 'not placed'
    const received: Received = {
      blob,
      fileKey,
      sizeBytes,
      sha256: hash.digest('hex'),
      parts: ONE_PART,
      async offer(commit) {
        state = 'in doubt'
        try {
          const answer = await commit()
          state = answer === 'done' ? 'placed' : 'not placed'
          return answer
        } catch (error) {
          if (changedNothing(error)) state = 'not placed'
          throw error
        }
      },
    }
    return { received, state: () => state }

    async function* batches() {
      const seal = frameSealer(fileKey, chance.bytes(32))
      for await (const { chunks, bytes: batchBytes, last } of inPieces(counted(), pieceBytes)) {
        for (const chunk of chunks) hash.update(chunk)
        yield seal(chunks, batchBytes, last)
      }
    }

    async function* counted() {
      for await (const chunk of bytes) {
        sizeBytes += chunk.length
        if (sizeBytes > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
        if (sizeBytes > mostBytes) throw problems.quotaExceeded(rules.quota.bytes ?? mostBytes, 'bytes')
        yield chunk
      }
    }
  }
}

/** The received bytes. `in doubt`: a commit with their blob was started and may have happened. */
interface Reception {
  received: Received
  state(): 'not placed' | 'in doubt' | 'placed'
}

/** Pieces of `pieceBytes`, then the last piece, which may be empty. Only the last piece contains the end of the bytes. */
async function* inPieces(chunks: AsyncIterable<Uint8Array>, pieceBytes: () => number) {
  let gathered: Uint8Array[] = []
  let gatheredBytes = 0
  let crumbs = 0
  for await (const chunk of chunks) {
    gathered.push(chunk)
    gatheredBytes += chunk.length
    crumbs = chunk.length < CRUMB_BYTES ? crumbs + 1 : 0
    if (crumbs === CRUMBS) {
      gathered.push(Buffer.concat(gathered.splice(-CRUMBS)))
      crumbs = 0
    }
    // A chunk may have many pieces. And `pieceBytes` may have become less than what is gathered already.
    for (let bytes = pieceBytes(); gatheredBytes > bytes; bytes = pieceBytes()) {
      const [piece, rest] = split(gathered, bytes)
      yield { chunks: piece, bytes, last: false }
      gathered = rest
      gatheredBytes -= bytes
      crumbs = 0
    }
  }
  yield { chunks: gathered, bytes: gatheredBytes, last: true }
}

/** The first `bytes` bytes of the chunks, and the rest. */
function split(chunks: Uint8Array[], bytes: number): [first: Uint8Array[], rest: Uint8Array[]] {
  let before = 0
  const at = chunks.findIndex(({ length }) => {
    before += length
    return before > bytes
  })
  const divided = chunks[at] as Uint8Array
  const cut = divided.length - (before - bytes)
  const first = [...chunks.slice(0, at), divided.subarray(0, cut)]
  return [first, [divided.subarray(cut), ...chunks.slice(at + 1)]]
}
