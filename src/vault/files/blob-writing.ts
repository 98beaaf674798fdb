/** Writes bytes into a new blob: gathered into pieces, hashed and sealed on the way. */
import { Problem } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { FRAME_BYTES, frameSealer } from '../crypto/envelope.ts'
import { type Admission, changedNothing, runEnded, whileAdmitted } from './admission.ts'
import type { DoubtfulBlobs } from './doubtful-blobs.ts'
import type { UnrecordedBytes } from './unrecorded.ts'

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

/** A blob that no part names yet. */
export interface WrittenBlob {
  blob: string
  sizeBytes: number
  /**
   * Runs the commit that makes a part name the blob, if its answer is `done`. If it throws and may have happened, the
   * blob becomes doubtful.
   */
  offer<Answer>(commit: () => Promise<Answer>): Promise<Answer>
  /** Deletes the blob unless a part names it, or may name it. */
  dropUnlessPlaced(): Promise<void>
}

export interface BlobWriting {
  /** Durable once resolved. If `bytes` throws, nothing is left, and it throws the same error. */
  write(
    owner: string,
    key: Buffer,
    bytes: AsyncIterable<Uint8Array>,
    hash: Hashing,
    unrecorded: UnrecordedBytes,
  ): Promise<WrittenBlob>
}

/** Gets all bytes in order. */
export interface Hashing {
  update(chunk: Uint8Array): unknown
}

export function openBlobWriting({
  ports: { blobs, chance },
  admission: { admit, run, isOver },
  doubtfulBlobs,
  receivingTurns,
  storingSlots,
}: Needs<'blobs' | 'chance', 'receivingTurns' | 'storingSlots'> & {
  admission: Pick<Admission, 'admit' | 'run' | 'isOver'>
  doubtfulBlobs: Pick<DoubtfulBlobs, 'add'>
}): BlobWriting {
  let underWay = 0
  return { write }

  async function write(
    owner: string,
    key: Buffer,
    bytes: AsyncIterable<Uint8Array>,
    hash: Hashing,
    unrecorded: UnrecordedBytes,
  ): Promise<WrittenBlob> {
    const ours = run()
    const blob = `${ours}/${chance.id()}`
    let sizeBytes = 0
    let isSettled = false
    let leave = () => {}
    underWay += 1
    try {
      await blobs.put(blob, whileAdmitted(batches(), admit))
    } catch (error) {
      // A store that did not answer may have the blob.
      if ((error as NodeJS.ErrnoException).code === 'EUNREACHABLE') doubtfulBlobs.add(blob)
      unrecorded.end()
      // A process that ended the run may also have removed the place where its blobs are stored.
      if (!(error instanceof Problem) && (await isOver(ours).catch(() => false))) throw runEnded(error)
      throw error
    } finally {
      underWay -= 1
      isSettled = true
      leave()
    }
    return offered(blob, sizeBytes, unrecorded)

    /**
     * From here on, the upload does not wait for its client. Threads write to the disk in the order of arrival. Without slots, a
     * thousand small uploads delay those of other networks by seconds.
     */
    async function takeSlot() {
      const release = await storingSlots.enter(owner)
      if (isSettled) release()
      else leave = release
    }

    async function* batches() {
      const seal = frameSealer(key, chance.bytes(32))
      for await (const { chunks, bytes: pieceBytes, last } of inPieces(bytes, bytesOfPiece)) {
        // After the last piece the bytes are recorded or deleted at once.
        if (!last) unrecorded.add(pieceBytes)
        // On a disk, a single frame costs about as much as a turn. For a store that is not on this machine, it costs a request.
        if (pieceBytes > FRAME_BYTES || blobs.opensAhead > 1) await receivingTurns.next(owner)
        if (last && blobs.opensAhead === 1) await takeSlot()
        for (const chunk of chunks) hash.update(chunk)
        sizeBytes += pieceBytes
        yield seal(chunks, pieceBytes, last)
      }
    }
  }

  function bytesOfPiece() {
    return underWay > MANY ? PIECE_OF_MANY_BYTES : PIECE_BYTES
  }

  function offered(blob: string, sizeBytes: number, unrecorded: UnrecordedBytes): WrittenBlob {
    let state: 'not placed' | 'in doubt' | 'placed' = 'not placed'
    return {
      blob,
      sizeBytes,

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

      async dropUnlessPlaced() {
        try {
          if (state === 'in doubt') doubtfulBlobs.add(blob)
          if (state === 'not placed') await blobs.delete([blob])
        } finally {
          unrecorded.end()
        }
      },
    }
  }
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
