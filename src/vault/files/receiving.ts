/**
 * Receives uploads that arrive in one piece: bytes are stored under an id that no row names yet. Then they are placed or
 * deleted.
 */
import { createHash } from 'node:crypto'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { ONE_PART } from '../crypto/envelope.ts'
import type { Admission } from './admission.ts'
import { openBlobWriting, type WrittenBlob } from './blob-writing.ts'
import type { DoubtfulBlobs } from './doubtful-blobs.ts'
import type { Content } from './placing.ts'

/** Bytes that are stored, but that no row names yet. */
export interface Received extends Content {
  blob: string
}

export type Receive = (bytes: AsyncIterable<Uint8Array>) => Promise<Received>

/** Receives at most `mostBytes`, the largest upload that the quota allows. */
type ReceiveUpTo = (bytes: AsyncIterable<Uint8Array>, mostBytes: number) => Promise<Received>

/**
 * Runs an upload, which receives bytes and returns the file with their blob. Received bytes that were not placed are
 * deleted before the result settles. Closing the vault waits for it, even if the client has left.
 */
export type Receiving = <Answer>(owner: string, upload: (receive: ReceiveUpTo) => Promise<Answer>) => Promise<Answer>

export function openReceiving({
  ports,
  rules,
  admission,
  background,
  doubtfulBlobs,
  unrecorded,
  receivingTurns,
  storingSlots,
}: Needs<'blobs' | 'chance', 'rules' | 'background' | 'unrecorded' | 'receivingTurns' | 'storingSlots'> & {
  admission: Pick<Admission, 'admit' | 'run' | 'isOver'>
  doubtfulBlobs: Pick<DoubtfulBlobs, 'add'>
}): Receiving {
  const { write } = openBlobWriting({ ports, admission, doubtfulBlobs, receivingTurns, storingSlots })

  return (owner, upload) => {
    const placing = placeOrDelete(owner, upload)
    background(
      'an upload',
      placing.then(
        () => {},
        () => {},
      ),
    )
    return placing
  }

  async function placeOrDelete<Answer>(
    owner: string,
    upload: (receive: ReceiveUpTo) => Promise<Answer>,
  ): Promise<Answer> {
    let last: WrittenBlob | null = null
    try {
      await admission.admit()
      return await upload(async (bytes, mostBytes) => {
        const fileKey = ports.chance.bytes(32)
        const hash = createHash('sha256')
        const written = await write(owner, fileKey, limited(bytes, mostBytes), hash, unrecorded(owner, false))
        last = written
        const { blob, sizeBytes, offer } = written
        return {
          blob,
          version: null,
          source: null,
          fileKey,
          sizeBytes,
          sha256: hash.digest('hex'),
          parts: ONE_PART,
          offer,
        }
      })
    } finally {
      await (last as WrittenBlob | null)?.dropUnlessPlaced()
    }
  }

  async function* limited(bytes: AsyncIterable<Uint8Array>, mostBytes: number) {
    let sizeBytes = 0
    for await (const chunk of bytes) {
      sizeBytes += chunk.length
      if (sizeBytes > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
      if (sizeBytes > mostBytes) throw problems.quotaExceeded(rules.quota.bytes ?? mostBytes, 'bytes')
      yield chunk
    }
  }
}
