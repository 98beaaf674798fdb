/** Copies the blobs of files and uploads to the target of a move, and opens them there. */
import type { BlobReader, BlobStore } from '../../ports/blobs.ts'
import type { Part } from '../../ports/files.ts'
import type { MoveTargetRows } from '../../ports/operator.ts'
import type { Ports } from '../../ports/ports.ts'
import { partsFrom } from '../crypto/content.ts'
import { blobBytes } from '../crypto/envelope.ts'
import { damageIn } from '../files/damage.ts'
import { type Finding, lengthFault } from '../files/inspection.ts'
import type { Item } from './items.ts'

const BATCH_BYTES = 1024 * 1024

export interface Copying {
  /** The copied blobs, and those that the target had. */
  counts: { blobs: { copied: number; kept: number }; copiedBytes: number }
  /** Copies the parts of an item that are not in the target, and opens the whole item there. */
  bring(item: Item): Promise<Finding>
}

/** `onBytes` is called with the size of an item that was opened in the target by an earlier move. */
export function openCopying(
  { files, blobs: from }: Pick<Ports, 'files' | 'blobs'>,
  { rows: targetRows, blobs: to }: { rows: Pick<MoveTargetRows, 'expect' | 'prove'>; blobs: BlobStore },
  onBytes: (bytes: number) => void,
): Copying {
  const counts: Copying['counts'] = { blobs: { copied: 0, kept: 0 }, copiedBytes: 0 }
  return { counts, bring }

  async function bring(item: Item): Promise<Finding> {
    const parts = await partsOf(item)
    const names = parts.map(({ blob }) => blob)
    const proven = new Set(await targetRows.expect(names))
    const lengths = new Map<string, number | null>()
    for (const blob of names) lengths.set(blob, await naming(blob, to.length(blob)))
    const present = parts.filter(({ blob, sizeBytes }) => lengths.get(blob) === blobBytes(sizeBytes))
    const isPresent = new Set(present)
    const absent = parts.filter((part) => !isPresent.has(part))
    if (absent.length === 0 && present.length > 0 && names.every((blob) => proven.has(blob))) {
      counts.blobs.kept += parts.length
      onBytes(item.sizeBytes)
      return { kind: 'sound' }
    }
    const lost = await copyAll(absent, lengths)
    if (lost) return lost
    let finding = await inspectThere(item)
    // A copy may be damaged if the machine lost power. The source may be damaged as well.
    const isSpoilt = finding.kind !== 'sound' && present.length > 0 && (await item.inspect(from)).kind === 'sound'
    // Check again before a blob is replaced. If source and target are one place, it is the source's own blob, and the
    // damage was only in reading.
    if (isSpoilt) finding = await inspectThere(item)
    if (isSpoilt && finding.kind !== 'sound') {
      const lost = await copyAll(present, lengths)
      if (lost) return lost
      finding = await inspectThere(item)
    } else {
      counts.blobs.kept += present.length
    }
    if (finding.kind === 'sound') await targetRows.prove(names)
    return finding
  }

  /** The parts up to a gap, if there is one: the inspection reports it. */
  async function partsOf(item: Item): Promise<Part[]> {
    const parts: Part[] = []
    try {
      for await (const part of partsFrom({ files }, item, item, 0)) {
        // An upload may have more parts by now, which are not inspected.
        if (parts.length === item.parts) break
        parts.push(part)
      }
    } catch (error) {
      if (!damageIn(error)) throw error
    }
    return parts
  }

  async function inspectThere(item: Item): Promise<Finding> {
    const finding = await item.inspect(to)
    if (finding.kind === 'unreadable') await naming(finding.blob, Promise.reject(finding.cause))
    return finding
  }

  /** Copies blobs. Stops at the first one that is missing or damaged in the source, and returns this; otherwise `null`. */
  async function copyAll(parts: Part[], lengths: Map<string, number | null>): Promise<Finding | null> {
    for (const { blob, sizeBytes } of parts) {
      const replaces = typeof lengths.get(blob) === 'number'
      const lost = await naming(blob, copy(blob, blobBytes(sizeBytes), replaces))
      if (lost) return lost
    }
    return null
  }

  /** `replaces`: the target has a blob of this id. It is deleted only once the right one can be read. */
  async function copy(blob: string, bytes: number, replaces: boolean): Promise<Finding | null> {
    const length = await from.length(blob)
    if (length !== null && length !== bytes) return { kind: 'damaged', blob, why: lengthFault(length, bytes) }
    const reader = length === null ? null : await from.open(blob, 0, bytes)
    if (!reader) return { kind: 'missing', blob }
    try {
      if (replaces) await to.delete([blob])
      await to.put(blob, batchesOf(reader, bytes))
    } finally {
      await reader.close()
    }
    counts.blobs.copied += 1
    counts.copiedBytes += bytes
    return null
  }
}

/** Adds the blob to the error of some work. */
async function naming<T>(blob: string, work: Promise<T>): Promise<T> {
  return work.catch((cause) => {
    throw new Error(`blob ${blob} could not be brought: ${(cause as Error).message}`, { cause })
  })
}

async function* batchesOf(reader: BlobReader, bytes: number): AsyncGenerator<Uint8Array[]> {
  for (let left = bytes; left > 0; ) {
    const read = await reader.read(Math.min(left, BATCH_BYTES))
    left -= read.length
    // A copy, because the next read uses the same memory, maybe before this batch is written.
    yield [Buffer.from(read)]
  }
}
