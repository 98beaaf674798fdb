/** Backup and restore. Sealed data stays sealed: neither of them needs a vault key. */
import type {
  BackupSource,
  BackupTarget,
  BackupVersions,
  BlobCopies,
  DatabaseCopy,
  Subject,
  Taken,
} from '../../ports/operator.ts'
import type { Ports } from '../../ports/ports.ts'
import { blobBytes } from '../crypto/envelope.ts'
import { keyIdOf, refuseMissingKeys } from '../crypto/keyring.ts'
import { takeHold } from './hold.ts'

const PAGE = 100

/** Gets the total of bytes. Returns a function that gets the number of bytes done since its last call. */
export type Watch = (totalBytes: number) => (doneBytes: number) => void

/** A blob that is missing, or has the wrong length. */
export type Lacking = Subject & { blob: string; why: 'missing' | 'damaged' }

export interface BackupReport {
  files: number
  /** Uploads that are not complete. */
  uploads: number
  blobs: { copied: number; kept: number; removed: number }
  copiedBytes: number
  /** Blobs that are missing or damaged in the vault itself. Everything else is in the backup. */
  lacking: Lacking[]
  /** The ids of the master keys that open the backup. */
  masterKeys: string[]
  /** Former versions that can be restored, the newest first. */
  versions: string[]
}

/**
 * Updates the backup to the present state of the vault, while servers write. The new database replaces the former one
 * after all its blobs were copied. After that, blobs that no version names are removed. So an interrupted run leaves
 * the backup as it was before, or as it is now.
 *
 * With `keep` the former database becomes a version. Then the oldest versions are removed until at most `keep` are
 * left, this backup included.
 */
export async function backUp(
  ports: Pick<Ports, 'ledger' | 'chance' | 'clock'>,
  { copyDatabase, versions, blobs }: BackupTarget,
  watch: Watch,
  keep: number | null = null,
): Promise<BackupReport> {
  // A blob that gets its row after this is not deleted before it is copied.
  const hold = await takeHold(ports)
  try {
    const at = ports.clock()
    const copy = await copyDatabase()
    try {
      const { lacking, taken, copiedBytes } = await takeAll(copy, blobs, watch, hold.check)
      await hold.confirm()
      if (keep !== null && keep > 1) await versions.keep()
      await copy.place()
      await ports.ledger.recordBackup(at)
      if (keep !== null) await versions.thin(keep - 1)
      const names = await versions.names()
      const removed = await removeUnnamed(copy, versions, blobs)
      const { files, uploads } = await copy.totals()
      const masterKeys = [...(await copy.countByKey()).keys()]
      return {
        files,
        uploads,
        blobs: { copied: taken.copied, kept: taken.kept, removed },
        copiedBytes,
        lacking,
        masterKeys,
        versions: names,
      }
    } finally {
      await copy.close()
    }
  } finally {
    await hold.release()
  }
}

export interface RestoreReport {
  /** True if the vault was restored. */
  restored: boolean
  files: number
  /** Uploads that are not complete. */
  uploads: number
  bytes: number
  /** Blobs that the backup lacks. */
  lacking: Lacking[]
  masterKeys: string[]
}

/**
 * Restores a vault from a backup. Throws before it copies anything if a needed master key is not given. If blobs are
 * lacking, it also copies nothing, unless `incomplete` asks for the rest. The database is placed last: before that
 * there is no vault.
 */
export async function restore(source: BackupSource, incomplete: boolean, watch: Watch): Promise<RestoreReport> {
  const { database, blobs } = source
  const masterKeys = [...(await database.countByKey()).keys()]
  if (masterKeys.length > 0) {
    const { current, previous } = source.masterKeys
    refuseMissingKeys([current, ...previous].map(keyIdOf), masterKeys)
  }
  const totals = await database.totals()
  const lacking: Lacking[] = []
  for await (const page of pagesOf(database)) {
    const reasons = await blobs.lacking(page)
    for (const [at, { subject, blob }] of page.entries()) {
      const why = reasons[at]
      if (why) lacking.push({ ...subject, blob, why })
    }
  }
  if (lacking.length > 0 && !incomplete) return { restored: false, ...totals, lacking, masterKeys }
  const taken = await takeAll(database, blobs, watch, () => {})
  await database.place()
  return { restored: true, ...totals, lacking: taken.lacking, masterKeys }
}

async function takeAll(copy: DatabaseCopy, blobs: BlobCopies, watch: Watch, check: () => void) {
  const done = watch((await copy.totals()).bytes)
  const taken: Record<Taken, number> = { copied: 0, kept: 0, missing: 0, damaged: 0 }
  const lacking: Lacking[] = []
  let copiedBytes = 0
  for await (const page of pagesOf(copy)) {
    const answers = await blobs.take(page)
    for (const [at, answer] of answers.entries()) {
      const { subject, blob, bytes, sizeBytes } = page[at] as Wanted
      taken[answer] += 1
      if (answer === 'copied') copiedBytes += bytes
      if (answer === 'missing' || answer === 'damaged') lacking.push({ ...subject, blob, why: answer })
      done(sizeBytes)
    }
    check()
  }
  return { taken, lacking, copiedBytes }
}

interface Wanted {
  subject: Subject
  blob: string
  /** The length of the blob. */
  bytes: number
  /** The length of the part. */
  sizeBytes: number
}

async function* pagesOf(copy: DatabaseCopy): AsyncGenerator<Wanted[]> {
  for (let after = ''; ; ) {
    const page = await copy.parts(after, PAGE)
    const last = page.at(-1)
    if (!last) return
    after = last.blob
    yield page.map((part) => ({ ...part, bytes: blobBytes(part.sizeBytes) }))
  }
}

async function removeUnnamed(last: DatabaseCopy, versions: BackupVersions, blobs: BlobCopies): Promise<number> {
  const former: DatabaseCopy[] = []
  try {
    for (const name of await versions.names()) former.push(await versions.open(name))
    let removed = 0
    for await (const found of blobs.all()) {
      for (let at = 0; at < found.length; at += PAGE) {
        let unnamed = found.slice(at, at + PAGE)
        for (const copy of [last, ...former]) {
          const named = new Set(await copy.named(unnamed))
          unnamed = unnamed.filter((blob) => !named.has(blob))
        }
        await blobs.remove(unnamed)
        removed += unnamed.length
      }
    }
    return removed
  } finally {
    for (const copy of former) await copy.close()
  }
}
