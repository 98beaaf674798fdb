/** Moves a vault to other engines: blobs as they are, sealed, then all rows at once. The source does not change. */
import type { BlobStore } from '../../ports/blobs.ts'
import type { MoveSource, MoveTable, MoveTarget, MoveTargetRows, Subject } from '../../ports/operator.ts'
import { type Keyring, openKeyring } from '../crypto/keyring.ts'
import { openInspection } from '../files/inspection.ts'
import type { Watch } from './backup.ts'
import { openCopying } from './copying.ts'
import { takeHold } from './hold.ts'
import { departedUsers, forEachOf, type Item, openItems, pagesOf, settled } from './items.ts'

/** Files or uploads that are copied at once: while one is written, others are read, opened or waited for. */
const AT_ONCE = 4
/** Key slots by which a target is recognised. */
const SLOTS = 100

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
  const present = await opened.rows.begin(await keySlots.notUnder('', SLOTS))
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

async function bringAll(
  source: MoveSource,
  target: { rows: MoveTargetRows; blobs: BlobStore },
  keys: Keyring,
  watch: Watch,
  check: () => void,
) {
  const { files, uploads, users, keySlots, census } = source
  const report = { files: 0, uploads: 0, bytes: 0, lost: [] as Lost[] }
  const all = await census()
  const onBytes = watch(all.files.bytes + all.trash.bytes + all.uploads.bytes)
  const items = openItems(source, openInspection({ ports: { keySlots, files }, keys, onBytes }))
  const copying = openCopying(source, target, onBytes)
  // An upload that is complete meanwhile is brought as a file.
  for await (const page of pagesOf(uploads.page, ({ upload }) => upload.id)) await bringPage(page.map(items.ofUpload))
  for await (const page of pagesOf(files.page, ({ file }) => file.id)) await bringPage(page.map(items.ofFile))
  return { ...report, ...copying.counts }

  async function bringPage(page: Item[]): Promise<void> {
    // The target removes the rows of a removed user.
    const departed = await departedUsers(users)
    const present = page.filter(({ owner }) => !departed.has(owner))
    await forEachOf(present, AT_ONCE, bringItem)
    check()
  }

  async function bringItem(seen: Item): Promise<void> {
    report[seen.is] += 1
    const last = await settled(seen, copying.bring)
    if (!last) {
      report[seen.is] -= 1
      return
    }
    const { item, finding } = last
    if (finding.kind === 'sound') {
      report.bytes += item.sizeBytes
      return
    }
    const why = finding.kind === 'missing' ? 'its blob is not there' : finding.why
    report.lost.push({ ...item.subject, blob: finding.blob, why })
  }
}
