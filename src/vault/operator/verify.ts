/** Verifies the whole vault: opens every file, and compares the database's records with the blobs. */
import type { Usage } from '../../ports/accounts.ts'
import type { OwnedFile } from '../../ports/files.ts'
import type { Subject } from '../../ports/operator.ts'
import type { Needs } from '../context.ts'
import { openInspection } from '../files/inspection.ts'
import type { ReadBacks } from '../files/read-backs.ts'
import { openPicture } from '../files/thumbnails.ts'
import { departedUsers, forEachOf, type Item, openItems, pagesOf, settled } from './items.ts'

/** Files or uploads that are checked at once: one is read while another is opened. */
const AT_ONCE = 2
const BATCH = 500

export interface Verification {
  users: number
  /** Live files and trash entries. */
  files: number
  /** Thumbnails of files and trash entries. */
  thumbnails: number
  /** Uploads that are not complete. */
  uploads: number
  /** The bytes of the files and uploads that opened. */
  bytes: number
  /** Blobs in the store. */
  blobs: number
  damaged: (Subject & { blob: string; why: string })[]
  missing: (Subject & { blob: string })[]
  /** Files whose thumbnail does not open, or is missing. */
  damagedThumbnails: { file: string; why: string }[]
  /** Orphans: blobs that no part names and that no living run wrote. */
  orphans: string[]
  /** Users whose vault key does not open. */
  slots: { user: string; why: string }[]
  /** Users whose counted usage differs from the sum of their files and uploads. */
  usage: { user: string; counted: Usage; actual: Usage }[]
}

export function isSound({ damaged, missing, damagedThumbnails, orphans, slots, usage }: Verification): boolean {
  return [damaged, missing, damagedThumbnails, orphans, slots, usage].every((found) => found.length === 0)
}

type VerifyContext = Needs<'users' | 'keySlots' | 'files' | 'thumbnails' | 'uploads' | 'ledger' | 'blobs', 'keys'> & {
  onBytes(bytes: number): void
  readBacks: Pick<ReadBacks, 'note' | 'record'>
}

/**
 * Reads everything, and changes nothing but `verifiedAt` of files that opened. A file or an upload that changes meanwhile is
 * checked again. `onBytes` is called with the number of bytes that were read.
 */
export async function verify(context: VerifyContext): Promise<Verification> {
  await refuseWrongKeys(context)
  const accounts = await checkUsers(context)
  const contents = await checkContents(context)
  const stored = await checkBlobs(context)
  return { ...accounts, ...contents, ...stored }
}

/** If no given master key is right, every file would be reported as damaged. */
async function refuseWrongKeys({ ports: { keySlots }, keys }: VerifyContext): Promise<void> {
  const ids = [...(await keySlots.countByKey()).keys()]
  if (ids.every((id) => !keys.keyIds.includes(id))) await keys.check()
}

async function checkUsers(context: VerifyContext) {
  const { users } = context.ports
  const { vaultKeyOf } = openInspection(context)
  const report: Pick<Verification, 'users' | 'slots' | 'usage'> = { users: 0, slots: [], usage: [] }
  for await (const page of pagesOf(users.audit, ({ id }) => id)) {
    for (const { id: user, counted, actual } of page) {
      report.users += 1
      const isCounted = (['files', 'trashFiles', 'bytes'] as const).every((what) => counted[what] === actual[what])
      if (!isCounted) report.usage.push({ user, counted, actual })
      const key = await vaultKeyOf(user)
      if (typeof key === 'string' && (await users.find(user))) report.slots.push({ user, why: key })
    }
  }
  return report
}

async function checkContents(context: VerifyContext) {
  const { ports, readBacks } = context
  const { users, files, thumbnails, uploads, blobs } = ports
  const inspection = openInspection(context)
  const items = openItems(ports, inspection)
  const report: Omit<Verification, 'users' | 'slots' | 'usage' | 'blobs' | 'orphans'> = {
    ...{ files: 0, thumbnails: 0, uploads: 0, bytes: 0 },
    ...{ damaged: [], missing: [], damagedThumbnails: [] },
  }
  // An upload that is complete meanwhile is checked as a file.
  for await (const page of pagesOf(uploads.page, ({ upload }) => upload.id)) {
    await forEachOf(page, AT_ONCE, (owned) => checkItem(items.ofUpload(owned)))
  }
  for await (const page of pagesOf(files.page, ({ file }) => file.id)) {
    await forEachOf(page, AT_ONCE, async (owned) => {
      await checkItem(items.ofFile(owned))
      await checkThumbnail(owned)
    })
    await readBacks.record()
  }
  return report

  async function checkItem(seen: Item) {
    report[seen.is] += 1
    const last = await settled(seen, (item) => item.inspect(blobs))
    if (!last) {
      report[seen.is] -= 1
      return
    }
    const { item, finding } = last
    const { is, subject } = item
    if (finding.kind === 'sound') {
      report.bytes += item.sizeBytes
      if (is === 'files') readBacks.note(item, true)
    } else if (finding.kind === 'missing') {
      report.missing.push({ ...subject, blob: finding.blob })
    } else {
      report.damaged.push({ ...subject, blob: finding.blob, why: finding.why })
    }
  }

  /** A thumbnail that changes meanwhile is checked again. */
  async function checkThumbnail(seen: OwnedFile) {
    for (let current: OwnedFile | null = seen; current?.file.thumbnail; ) {
      const { owner, file }: OwnedFile = current
      const why = await thumbnailFault(current)
      if (why === null) {
        report.thumbnails += 1
        return
      }
      const now = await files.byId(file.id)
      if ((await departedUsers(users)).has(owner)) return
      if (now?.file.thumbnail === file.thumbnail) {
        report.thumbnails += 1
        report.damagedThumbnails.push({ file: file.id, why })
        return
      }
      current = now
    }
  }

  async function thumbnailFault({ owner, file }: OwnedFile): Promise<string | null> {
    const key = await inspection.vaultKeyOf(owner)
    if (typeof key === 'string') return key
    const thumbnail = await thumbnails.byTag(owner, file.thumbnail as string)
    if (!thumbnail) return 'it is missing'
    try {
      openPicture(key, owner, file, thumbnail)
      return null
    } catch {
      return 'it does not open'
    }
  }
}

/**
 * A run is recorded before its first blob, and a blob is stored before its row. So this lists blobs, then asks the
 * ledger for them, then reads the living runs again.
 */
async function checkBlobs({ ports: { ledger, blobs } }: VerifyContext) {
  const report: Pick<Verification, 'blobs' | 'orphans'> = { blobs: 0, orphans: [] }
  const living = await livingRuns()
  for (const run of await blobs.runs()) {
    const stray: string[] = []
    for await (const found of blobs.list(run)) {
      report.blobs += found.length
      for (let at = 0; at < found.length; at += BATCH) {
        const batch = found.slice(at, at + BATCH)
        const named = new Set(await ledger.named(batch))
        stray.push(...batch.filter((blob) => !named.has(blob)))
      }
    }
    if (stray.length === 0 || living.has(run) || (await livingRuns()).has(run)) continue
    for (const blob of stray) if ((await blobs.length(blob)) !== null) report.orphans.push(blob)
  }
  return report

  async function livingRuns(): Promise<Set<string>> {
    return new Set((await ledger.livingRuns()).map(({ run }) => run))
  }
}
