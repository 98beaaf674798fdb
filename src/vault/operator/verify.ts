/** Verifies the whole vault: opens every file, and compares the database's records with the blobs. */
import type { Usage } from '../../ports/accounts.ts'
import type { OwnedFile } from '../../ports/files.ts'
import type { Subject } from '../../ports/operator.ts'
import type { OwnedUpload } from '../../ports/uploads.ts'
import type { Needs } from '../context.ts'
import type { ReadBacks } from '../files/read-backs.ts'
import { openPicture } from '../files/thumbnails.ts'
import { type Finding, openInspection } from './inspection.ts'

const PAGE = 200
/** Files or uploads that are checked at once: one is read while another is opened. */
const AT_A_TIME = 2
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

/**
 * Reads everything, and changes nothing but `verifiedAt` of files that opened. A file or an upload that changes meanwhile is
 * checked again. `onBytes` is called with the number of bytes that were read.
 */
export async function verify(
  context: Needs<'users' | 'keySlots' | 'files' | 'thumbnails' | 'uploads' | 'ledger' | 'blobs', 'keys'> & {
    onBytes(bytes: number): void
    readBacks: Pick<ReadBacks, 'note' | 'record'>
  },
): Promise<Verification> {
  const { ports, keys, readBacks } = context
  const { users, keySlots, files, thumbnails, uploads, ledger, blobs } = ports
  const { vaultKeyOf, inspect, inspectUpload } = openInspection(context)
  const report: Verification = {
    users: 0,
    files: 0,
    thumbnails: 0,
    uploads: 0,
    bytes: 0,
    blobs: 0,
    damaged: [],
    missing: [],
    damagedThumbnails: [],
    orphans: [],
    slots: [],
    usage: [],
  }
  await refuseWrongKeys()
  await checkUsers()
  // An upload that is complete meanwhile is checked as a file.
  await checkUploads()
  await checkFiles()
  await checkBlobs()
  return report

  /** If no given master key is right, every file would be reported as damaged. */
  async function refuseWrongKeys() {
    const ids = [...(await keySlots.countByKey()).keys()]
    if (ids.every((id) => !keys.keyIds.includes(id))) await keys.check()
  }

  async function checkUsers() {
    for (let after = ''; ; ) {
      const page = await users.audit(after, PAGE)
      for (const { id: user, counted, actual } of page) {
        report.users += 1
        const isCounted = (['files', 'trashFiles', 'bytes'] as const).every((what) => counted[what] === actual[what])
        if (!isCounted) report.usage.push({ user, counted, actual })
        const key = await vaultKeyOf(user)
        if (typeof key === 'string' && (await users.find(user))) report.slots.push({ user, why: key })
      }
      const last = page.at(-1)
      if (!last) return
      after = last.id
    }
  }

  async function checkUploads() {
    for (let after = ''; ; ) {
      const page = await uploads.page(after, PAGE)
      const last = page.at(-1)
      if (!last) return
      after = last.upload.id
      await eachOf(page, checkUpload)
    }
  }

  async function checkUpload({ owner, upload: seen }: OwnedUpload) {
    report.uploads += 1
    for (let current = seen; ; ) {
      const { id, offset, parts } = current
      const finding = await inspectUpload(blobs, { owner, upload: current })
      if (finding.kind === 'sound') {
        report.bytes += offset
        return
      }
      const now = await uploads.find(owner, id)
      if (!now || now.fileId !== null || (await isLeaving(owner))) {
        report.uploads -= 1
        return
      }
      if (now.offset === offset && now.parts === parts) {
        found({ user: owner, upload: id }, finding)
        return
      }
      current = now
    }
  }

  async function checkFiles() {
    for (let after = ''; ; ) {
      const page = await files.page(after, PAGE)
      const last = page.at(-1)
      if (!last) return
      after = last.file.id
      await eachOf(page, async (owned) => {
        await checkFile(owned)
        await checkThumbnail(owned)
      })
      await readBacks.record()
    }
  }

  async function checkFile(seen: OwnedFile) {
    report.files += 1
    let current = seen
    for (;;) {
      const finding = await inspect(blobs, current)
      const { id, version, sizeBytes } = current.file
      if (finding.kind === 'sound') {
        report.bytes += sizeBytes
        readBacks.note({ id, version }, true)
        break
      }
      const now = await files.byId(id)
      if (!now || (await isLeaving(now.owner))) {
        report.files -= 1
        break
      }
      if (now.file.version === version) {
        found({ file: id }, finding)
        break
      }
      current = now
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
      if (await isLeaving(owner)) return
      if (now?.file.thumbnail === file.thumbnail) {
        report.thumbnails += 1
        report.damagedThumbnails.push({ file: file.id, why })
        return
      }
      current = now
    }
  }

  async function thumbnailFault({ owner, file }: OwnedFile): Promise<string | null> {
    const key = await vaultKeyOf(owner)
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

  function found(subject: Subject, finding: Exclude<Finding, { kind: 'sound' }>) {
    const { blob } = finding
    if (finding.kind === 'missing') report.missing.push({ ...subject, blob })
    else report.damaged.push({ ...subject, blob, why: finding.why })
  }

  /** The files of a removed user do not open any more, and are being removed. */
  async function isLeaving(owner: string): Promise<boolean> {
    return (await users.departed(Number.MAX_SAFE_INTEGER)).includes(owner)
  }

  /**
   * A run is recorded before its first blob, and a blob is stored before its row. So this lists blobs, then asks the
   * ledger for them, then reads the living runs again.
   */
  async function checkBlobs() {
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
  }

  async function livingRuns(): Promise<Set<string>> {
    return new Set((await ledger.livingRuns()).map(({ run }) => run))
  }
}

async function eachOf<T>(items: T[], check: (item: T) => Promise<void>): Promise<void> {
  const lanes = Array.from({ length: AT_A_TIME }, async () => {
    for (let item = items.shift(); item !== undefined; item = items.shift()) await check(item)
  })
  await Promise.all(lanes)
}
