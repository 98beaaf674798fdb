/** Bytes on their way in: hashed, sealed and stored under an id that nobody knows yet; placed, or gone again. */
import { createHash } from 'node:crypto'
import { Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { FRAME_BYTES, frameSealer, type Secrets } from '../crypto/envelope.ts'
import { type Admission, changedNothing, runEnded, whileAdmitted } from './admission.ts'
import type { DoubtfulBlobs } from './doubtful-blobs.ts'

/** Bytes are hashed, sealed and written so many at a time: large pieces are several times cheaper than small ones. */
const PIECE_BYTES = 16 * FRAME_BYTES
/** Where many come at once, memory that waits for so much of each outlives the cheap rounds of the garbage collector. */
const PIECE_OF_MANY_BYTES = 4 * FRAME_BYTES
const MANY = 4
/** A client may send a byte at a time; each costs far more than a byte to keep. */
const CRUMB_BYTES = 1024
const CRUMBS = 256

/** Bytes that are on disk, but that nobody can see yet. */
export interface Received extends Secrets {
  blob: string
  /**
   * Runs the commit that asks the database to name the blob. Where it throws without an answer, a row may name the blob, so
   * it becomes doubtful and is not deleted here.
   */
  offer<Answer>(commit: () => Promise<Answer>): Promise<Answer>
}

export type Receive = (bytes: AsyncIterable<Uint8Array>) => Promise<Received>

/** Receives no more than so many bytes, beyond which the quota does not reach. */
type ReceiveUpTo = (bytes: AsyncIterable<Uint8Array>, mostBytes: number) => Promise<Received>

/**
 * Runs an act that receives bytes and answers the blob that holds them now; what it received and did not place is
 * deleted before this settles. It is waited for before the engines are closed, also where its client has left.
 */
export type Receiving = <Placement extends { file: { blob: string } }>(
  act: (receive: ReceiveUpTo) => Promise<Placement>,
) => Promise<Placement>

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

  return (act) => {
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

  async function placeOrDelete<Placement extends { file: { blob: string } }>(
    act: (receive: ReceiveUpTo) => Promise<Placement>,
  ): Promise<Placement> {
    let reception: Reception | null = null
    let placement: Placement | null = null
    underWay += 1
    try {
      await admit()
      placement = await act(async (bytes, mostBytes) => {
        reception = await take(bytes, mostBytes)
        return reception.received
      })
      return placement
    } finally {
      underWay -= 1
      const last = reception as Reception | null
      const blob = last?.received.blob
      if (blob && last.isOffered()) doubtfulBlobs.add(blob)
      else if (blob && blob !== placement?.file.blob) await blobs.delete([blob])
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
      // A store that did not answer may have the blob all the same.
      if ((error as NodeJS.ErrnoException).code === 'EUNREACHABLE') doubtfulBlobs.add(blob)
      // Whoever ends a run may also remove what its blobs are kept in.
      if (!(error instanceof Problem) && (await isOver(ours).catch(() => false))) throw runEnded(error)
      throw error
    }
    let isOffered = false
    const received: Received = {
      blob,
      fileKey,
      sizeBytes,
      sha256: hash.digest('hex'),
      async offer(commit) {
        isOffered = true
        try {
          const answer = await commit()
          isOffered = false
          return answer
        } catch (error) {
          if (changedNothing(error)) isOffered = false
          throw error
        }
      },
    }
    return { received, isOffered: () => isOffered }

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

/** What was received, and whether the database was asked to name it and has not answered. */
interface Reception {
  received: Received
  isOffered(): boolean
}

/** Pieces of so many bytes, and then the last one, which may be empty; none of the others is the end of the bytes. */
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
    // However large a chunk is, and what is wanted may have become less than is there.
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

/** The first bytes of the chunks, and the others. */
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
