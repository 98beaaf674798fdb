/** Stores bytes behind those of an upload, as a new part or together with a short last part. */
import type { Hash } from 'node:crypto'
import type { Part } from '../../ports/files.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { sealPartKey } from '../crypto/envelope.ts'
import { runEnded } from '../files/admission.ts'
import { openBlobWriting, type WrittenBlob } from '../files/blob-writing.ts'
import { contentOf } from './reading.ts'
import type { RunningHashes } from './running-hashes.ts'

const MOST_PARTS = 20_000
/**
 * A last part that is shorter is stored again, together with the bytes that come next. Each part is a row and a blob, and
 * without this rule a user of a small quota could fill the disk with parts of one byte.
 */
const SHORT_BYTES = 64 * 1024

export interface PartBytes {
  bytes: AsyncIterable<Uint8Array>
  /** A second hash that gets the bytes. */
  hash: Hash | null
  /** The upload's bytes that do not count for the quota: those of a form around its file. */
  overheadBytes: number
  /** Called once the bytes have ended. If it throws, none of them is stored. */
  check(): void
}

/** Returns the upload with the part, which is durable then. `upload-in-use` if another append was faster. */
export type StorePart = (owner: string, upload: Upload, fileKey: Buffer, part: PartBytes) => Promise<Upload>

export function openStoring({
  ports,
  rules,
  admission,
  doubtfulBlobs,
  trash,
  background,
  collect,
  unrecorded,
  receivingTurns,
  storingSlots,
  hashes,
}: Needs<
  'uploads' | 'files' | 'blobs' | 'clock' | 'chance',
  | 'rules'
  | 'admission'
  | 'doubtfulBlobs'
  | 'trash'
  | 'background'
  | 'collect'
  | 'unrecorded'
  | 'receivingTurns'
  | 'storingSlots'
> & {
  hashes: RunningHashes
}): StorePart {
  const { uploads, files, clock, chance } = ports
  const { write } = openBlobWriting({ ports, admission, doubtfulBlobs, receivingTurns, storingSlots })

  return async (owner, upload, fileKey, { bytes, hash, overheadBytes, check }) => {
    const short = await shortPart(upload)
    if (!short && upload.parts >= MOST_PARTS) throw problems.tooManyParts(MOST_PARTS)
    const key = chance.bytes(32)
    const whole = hashes.of(owner, upload)
    let known = short?.sizeBytes ?? 0
    const both = {
      update(chunk: Uint8Array) {
        const added = chunk.subarray(known)
        known -= chunk.length - added.length
        whole?.update(added)
        hash?.update(added)
      },
    }
    const all = short ? behind(short, upload, fileKey, bytes) : bytes
    const written = await write(owner, key, all, both, unrecorded(owner, true))
    try {
      check()
      const part = { start: short?.start ?? upload.offset, sizeBytes: written.sizeBytes }
      const sealed = { ...part, blob: written.blob, seal: sealPartKey(fileKey, chance.bytes(12), part, key) }
      const replaced = short ? chance.id() : undefined
      const touchedAt = await record(owner, upload, sealed, written, { overheadBytes, replaced })
      if (replaced) background('deleting a short part', collect(owner, [replaced]))
      const offset = part.start + part.sizeBytes
      hashes.keep(owner, upload.id, offset, whole)
      return { ...upload, offset, parts: upload.parts + (short ? 0 : 1), touchedAt }
    } finally {
      await written.dropUnlessPlaced()
    }
  }

  /** The last part, if it is short. */
  async function shortPart({ id, offset }: Upload): Promise<Part | null> {
    const [last] = offset > 0 ? await files.parts(id, offset - 1, 1) : []
    return last && last.sizeBytes < SHORT_BYTES ? last : null
  }

  async function* behind({ start }: Part, upload: Upload, fileKey: Buffer, bytes: AsyncIterable<Uint8Array>) {
    for await (const chunks of contentOf(ports, upload, fileKey, start)) yield* chunks
    yield* bytes
  }

  async function record(
    owner: string,
    upload: Upload,
    part: Part,
    { offer, blob }: WrittenBlob,
    { overheadBytes, replaced }: { overheadBytes: number; replaced: string | undefined },
  ): Promise<number> {
    const quotaBytes = rules.quota.bytes === null ? null : rules.quota.bytes + overheadBytes
    const change = { sizeBytes: upload.sizeBytes, at: clock(), quotaBytes, replaced }
    const commit = () => offer(() => uploads.append(owner, upload, part, change))
    let answer = await commit()
    // Expired trash does not count for the quota.
    if (answer === 'quota' && (await trash.expireOf(owner))) answer = await commit()
    if (answer === 'done') return change.at
    if (answer === 'quota') throw problems.quotaExceeded(rules.quota.bytes as number, 'bytes', { isUpload: true })
    if (answer === 'stale') throw problems.uploadInUse((await uploads.find(owner, upload.id))?.offset)
    admission.end(blob.slice(0, blob.indexOf('/')))
    throw runEnded()
  }
}
