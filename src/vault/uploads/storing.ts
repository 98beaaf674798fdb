/** Stores bytes as the next part of an upload. */
import type { Hash } from 'node:crypto'
import type { Part } from '../../ports/files.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { sealPartKey } from '../crypto/envelope.ts'
import { runEnded } from '../files/admission.ts'
import { openBlobWriting, type WrittenBlob } from '../files/blob-writing.ts'
import type { RunningHashes } from './running-hashes.ts'

/** Each part is a row and a blob, however short it is. */
const MOST_PARTS = 20_000

export interface PartBytes {
  bytes: AsyncIterable<Uint8Array>
  /** Gets the bytes, too. */
  hash: Hash | null
  /** How many of the upload's bytes do not count for the quota: those of a form around its file. */
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
  hashes,
}: Needs<'uploads' | 'blobs' | 'clock' | 'chance', 'rules' | 'admission' | 'doubtfulBlobs' | 'trash'> & {
  hashes: RunningHashes
}): StorePart {
  const { uploads, clock, chance } = ports
  const { write } = openBlobWriting({ ports, admission, doubtfulBlobs })

  return async (owner, upload, fileKey, { bytes, hash, overheadBytes, check }) => {
    if (upload.parts >= MOST_PARTS) throw problems.tooManyParts(MOST_PARTS)
    const key = chance.bytes(32)
    const whole = hashes.of(upload)
    const both = {
      update(chunk: Uint8Array) {
        whole?.update(chunk)
        hash?.update(chunk)
      },
    }
    const written = await write(key, bytes, both)
    try {
      check()
      const part = { start: upload.offset, sizeBytes: written.sizeBytes }
      const seal = sealPartKey(fileKey, chance.bytes(12), part, key)
      const touchedAt = await record(owner, upload, { ...part, blob: written.blob, seal }, written, overheadBytes)
      const offset = upload.offset + written.sizeBytes
      hashes.keep(upload.id, offset, whole)
      return { ...upload, offset, parts: upload.parts + 1, touchedAt }
    } finally {
      await written.dropUnlessPlaced()
    }
  }

  async function record(
    owner: string,
    upload: Upload,
    part: Part,
    { offer, blob }: WrittenBlob,
    overheadBytes: number,
  ): Promise<number> {
    const quotaBytes = rules.quota.bytes === null ? null : rules.quota.bytes + overheadBytes
    const change = { sizeBytes: upload.sizeBytes, at: clock(), quotaBytes }
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
