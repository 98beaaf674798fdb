/** Moves a vault to other engines: blobs as they are, sealed, then all rows at once. The source does not change. */
import type { BlobReader, BlobStore } from '../../ports/blobs.ts'
import type { OwnedFile, Part } from '../../ports/files.ts'
import type { MoveSource, MoveTable, MoveTarget, MoveTargetRows, Subject } from '../../ports/operator.ts'
import type { OwnedUpload } from '../../ports/uploads.ts'
import { partsFrom } from '../crypto/content.ts'
import { blobBytes } from '../crypto/envelope.ts'
import { type Keyring, openKeyring } from '../crypto/keyring.ts'
import { damageIn } from '../files/damage.ts'
import type { Watch } from './backup.ts'
import { takeHold } from './hold.ts'
import { type Finding, lengthFault, openInspection } from './inspection.ts'

const PAGE = 100
/** Files or uploads that are copied at once: while one is written, others are read, opened or waited for. */
const LANES = 4
const BATCH_BYTES = 1024 * 1024

/** A file or an upload that does not open as it was uploaded, so it cannot be moved whole. */
export type Lost = Subject & { blob: string; why: string }

export interface MoveReport {
  /** True if the vault is in the target now. */
  moved: boolean
  /**
   * `there`: it was in the target before, and nothing was done. `written`: a server writes to the source, so its rows
   * may still change. `still`: its rows cannot change.
   */
  state: 'there' | 'written' | 'still'
  /** Checked files and trash entries. */
  files: number
  /** Checked uploads that are not complete. */
  uploads: number
  /** The bytes of the sound files and uploads. */
  bytes: number
  blobs: { copied: number; kept: number }
  copiedBytes: number
  lost: Lost[]
  /** The number of moved rows, by table. */
  rows: Partial<Record<MoveTable, number>>
}

const NOTHING = { files: 0, uploads: 0, bytes: 0, blobs: { copied: 0, kept: 0 }, copiedBytes: 0, lost: [], rows: {} }

/**
 * Copies every blob to the target and opens it there, then moves all rows. So an interrupted move leaves no vault in
 * the target, and the next run continues it. While a server writes to the source, only blobs are copied, because they
 * never change. If files or uploads are lost, no rows are moved either, unless `incomplete` asks for the rest. Throws before it
 * copies anything if the target's master keys do not open the vault.
 */
export async function move(
  source: MoveSource,
  target: MoveTarget,
  incomplete: boolean,
  watch: Watch,
): Promise<MoveReport> {
  const { keySlots, chance } = source
  const keys = openKeyring({ ports: { masterKeys: target.masterKeys, keySlots, chance } })
  await keys.check()
  const opened = await target.open()
  // No master key has an empty id. So these are slots of any master key.
  const present = await opened.rows.begin(await keySlots.notUnder('', PAGE))
  if (present === 'other') throw new Error('there is another vault in the target already')
  if (present === 'same') return { moved: true, state: 'there', ...NOTHING }
  const state = (await source.rows.freeze()) ? 'still' : 'written'
  // If no process writes, no process deletes blobs.
  const hold = state === 'still' ? null : await takeHold(source)
  try {
    const brought = await bringAll(source, opened, keys, watch, () => hold?.check())
    if (state === 'written' || (brought.lost.length > 0 && !incomplete)) {
      return { moved: false, state, ...brought, rows: {} }
    }
    const rows = await source.rows.counts()
    await opened.rows.settle(source.rows.batches(), rows)
    return { moved: true, state, ...brought, rows }
  } finally {
    await hold?.release()
  }
}

/** A file or an upload, as it was read. */
interface Item {
  is: 'files' | 'uploads'
  subject: Subject
  owner: string
  id: string
  version: string
  sizeBytes: number
  /** The parts that an upload had; `null` for a file, which always has the same. */
  parts: number | null
  inspect(blobs: BlobStore): Promise<Finding>
  /** As it is now; `null` if it is gone. */
  now(): Promise<Item | null>
}

async function bringAll(
  { files, uploads, users, keySlots, blobs: from, census }: MoveSource,
  { rows: targetRows, blobs: to }: { rows: MoveTargetRows; blobs: BlobStore },
  keys: Keyring,
  watch: Watch,
  check: () => void,
) {
  const report = { files: 0, uploads: 0, bytes: 0, blobs: { copied: 0, kept: 0 }, copiedBytes: 0, lost: [] as Lost[] }
  const all = await census()
  const done = watch(all.files.bytes + all.trash.bytes + all.uploads.bytes)
  const { inspect, inspectUpload } = openInspection({ ports: { keySlots, files }, keys, onBytes: done })
  // An upload that is complete meanwhile is brought as a file.
  await bringPages(async (after) => (await uploads.page(after, PAGE)).map(uploadItem))
  await bringPages(async (after) => (await files.page(after, PAGE)).map(fileItem))
  return report

  async function bringPages(pageAfter: (id: string) => Promise<Item[]>): Promise<void> {
    for (let after = ''; ; ) {
      const page = await pageAfter(after)
      const last = page.at(-1)
      if (!last) return
      after = last.id
      // The contents of a removed user do not open any more, and the target removes their rows.
      const departed = await departedUsers()
      await inLanes(
        page.filter(({ owner }) => !departed.has(owner)),
        bringItem,
      )
      check()
    }
  }

  async function departedUsers(): Promise<Set<string>> {
    return new Set(await users.departed(Number.MAX_SAFE_INTEGER))
  }

  function fileItem(owned: OwnedFile): Item {
    const { owner, file } = owned
    const { id, version, sizeBytes } = file
    return {
      ...{ is: 'files', subject: { file: id }, owner, id, version, sizeBytes, parts: null },
      inspect: (blobs) => inspect(blobs, owned),
      async now() {
        const found = await files.byId(id)
        return found && fileItem(found)
      },
    }
  }

  function uploadItem(owned: OwnedUpload): Item {
    const { owner, upload } = owned
    const { id, offset: sizeBytes, parts } = upload
    return {
      ...{ is: 'uploads', subject: { user: owner, upload: id }, owner, id, version: id, sizeBytes, parts },
      inspect: (blobs) => inspectUpload(blobs, owned),
      async now() {
        const found = await uploads.find(owner, id)
        return found && found.fileId === null ? uploadItem({ owner, upload: found }) : null
      },
    }
  }

  async function bringItem(seen: Item): Promise<void> {
    report[seen.is] += 1
    for (let current = seen; ; ) {
      const finding = await bring(current)
      if (finding.kind === 'sound') {
        report.bytes += current.sizeBytes
        return
      }
      const now = await current.now()
      if (!now || (await departedUsers()).has(now.owner)) {
        report[seen.is] -= 1
        return
      }
      if (now.version === current.version && now.parts === current.parts) {
        const why = finding.kind === 'missing' ? 'its blob is not there' : finding.why
        report.lost.push({ ...current.subject, blob: finding.blob, why })
        return
      }
      current = now
    }
  }

  /** Copies the parts of an item that are not in the target, and opens the whole item there. */
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
      report.blobs.kept += parts.length
      done(item.sizeBytes)
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
      report.blobs.kept += present.length
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
    report.blobs.copied += 1
    report.copiedBytes += bytes
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

/** After an error no lane takes another item. Throws the first error once all lanes have stopped. */
async function inLanes<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const errors: unknown[] = []
  const lanes = Array.from({ length: LANES }, async () => {
    for (let next = queue.shift(); next !== undefined && errors.length === 0; next = queue.shift()) {
      await work(next).catch((error) => errors.push(error))
    }
  })
  await Promise.all(lanes)
  if (errors.length > 0) throw errors[0]
}
