/** Whether all that the vault holds can be had: every file is opened, and the books are compared with what is there. */
import { createHash } from 'node:crypto'
import type { OwnedFile, Ports, SealedFile, Usage } from '../ports.ts'
import { openContent, wholeOf } from './content.ts'
import { blobBytes, frameOpener, HEADER_BYTES, openSecrets, type Secrets } from './envelope.ts'
import type { Keyring } from './keyring.ts'

const PAGE = 200
/** One is read while another is opened. */
const AT_A_TIME = 2
const BATCH = 500

export interface Verification {
  users: number
  /** Live files and trash that were opened, and what they hold. */
  files: number
  bytes: number
  /** Blobs on the disk. */
  blobs: number
  damaged: { file: string; blob: string; why: string }[]
  missing: { file: string; blob: string }[]
  /** Blobs that no row names and that nobody is going to delete or to name. */
  orphans: string[]
  /** Users whose vault key does not open. */
  slots: { user: string; why: string }[]
  /** Users whose files come to something else than what is counted. */
  usage: { user: string; counted: Usage; actual: Usage }[]
}

export function isSound({ damaged, missing, orphans, slots, usage }: Verification): boolean {
  return [damaged, missing, orphans, slots, usage].every((found) => found.length === 0)
}

type Finding = { kind: 'sound' } | { kind: 'missing' } | { kind: 'damaged'; why: string }
const SOUND: Finding = { kind: 'sound' }

/** Reads everything. Changes nothing; what others change meanwhile is looked at again. `onBytes` hears of what was read. */
export async function verify(ports: Ports, keys: Keyring, onBytes: (bytes: number) => void): Promise<Verification> {
  const { users, keySlots, files, ledger, blobs } = ports
  const report: Verification = {
    users: 0,
    files: 0,
    bytes: 0,
    blobs: 0,
    damaged: [],
    missing: [],
    orphans: [],
    slots: [],
    usage: [],
  }
  await refuseWrongKeys()
  await checkUsers()
  await checkFiles()
  await checkBlobs()
  return report

  /** With not one right key, a report would be a list of everything. */
  async function refuseWrongKeys() {
    const ids = [...(await keySlots.countByKey()).keys()]
    if (ids.every((id) => !keys.keyIds.includes(id))) await keys.check()
  }

  async function checkUsers() {
    for (let after = ''; ; ) {
      const page = await users.audit(after, PAGE)
      for (const { id: user, counted, actual } of page) {
        report.users += 1
        if (counted.files !== actual.files || counted.bytes !== actual.bytes)
          report.usage.push({ user, counted, actual })
        const key = await vaultKeyOf(user)
        if (typeof key === 'string' && (await users.find(user))) report.slots.push({ user, why: key })
      }
      const last = page.at(-1)
      if (!last) return
      after = last.id
    }
  }

  async function checkFiles() {
    for (let after = ''; ; ) {
      const page = await files.page(after, PAGE)
      const last = page.at(-1)
      if (!last) return
      after = last.file.id
      const lanes = Array.from({ length: AT_A_TIME }, async () => {
        for (let file = page.shift(); file; file = page.shift()) await checkFile(file)
      })
      await Promise.all(lanes)
    }
  }

  async function checkFile(seen: OwnedFile) {
    report.files += 1
    let looked = seen
    for (;;) {
      const finding = await look(looked)
      const { id, blob, sizeBytes } = looked.file
      if (finding.kind === 'sound') {
        report.bytes += sizeBytes
        break
      }
      const now = await files.byId(id)
      if (!now || (await isLeaving(now.owner))) {
        report.files -= 1
        break
      }
      if (now.file.blob === blob) {
        if (finding.kind === 'missing') report.missing.push({ file: id, blob })
        else report.damaged.push({ file: id, blob, why: finding.why })
        break
      }
      looked = now
    }
  }

  /** What is left of a user who was removed opens no more, and is removed too. */
  async function isLeaving(owner: string): Promise<boolean> {
    return (await users.departed(Number.MAX_SAFE_INTEGER)).includes(owner)
  }

  async function look({ owner, file }: OwnedFile): Promise<Finding> {
    const key = await vaultKeyOf(owner)
    if (typeof key === 'string') return { kind: 'damaged', why: `its owner's key cannot be had: ${key}` }
    const secrets = secretsOf(key, owner, file)
    if (!secrets) return { kind: 'damaged', why: 'its seal does not open' }
    try {
      return await lookAtBlob(file, secrets)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return {
        kind: 'damaged',
        why: code && /^E[A-Z]+$/.test(code) ? `its blob cannot be read (${code})` : 'its blob does not open',
      }
    }
  }

  async function lookAtBlob(file: SealedFile, secrets: Secrets): Promise<Finding> {
    const { blob } = file
    const length = await blobs.length(blob)
    if (length === null) return { kind: 'missing' }
    const expected = blobBytes(secrets.sizeBytes)
    if (length !== expected) return { kind: 'damaged', why: `its blob has ${length} bytes instead of ${expected}` }
    const digest = secrets.sizeBytes === 0 ? await digestOfNothing(blob, secrets) : await digestOf(file, secrets)
    if (digest === null) return { kind: 'missing' }
    return digest === secrets.sha256 ? SOUND : { kind: 'damaged', why: 'its content has another SHA-256' }
  }

  async function digestOf(file: SealedFile, secrets: Secrets): Promise<string | null> {
    const reader = await openContent(blobs, file, secrets, wholeOf(secrets.sizeBytes))
    if (!reader) return null
    const hash = createHash('sha256')
    try {
      for (let chunks = await reader.next(); chunks; chunks = await reader.next()) {
        for (const chunk of chunks) hash.update(chunk)
        onBytes(chunks.reduce((sum, { length }) => sum + length, 0))
      }
    } finally {
      await reader.close()
    }
    return hash.digest('hex')
  }

  /** Nobody reads an empty content, but its blob has a frame. */
  async function digestOfNothing(blob: string, { fileKey }: Secrets): Promise<string | null> {
    const reader = await blobs.open(blob, 0, blobBytes(0))
    if (!reader) return null
    try {
      const bytes = await reader.read(blobBytes(0))
      const nothing = frameOpener(fileKey, bytes.subarray(0, HEADER_BYTES), 0)(0, bytes.subarray(HEADER_BYTES))
      return createHash('sha256').update(nothing).digest('hex')
    } finally {
      await reader.close()
    }
  }

  /** The key, or why there is none. */
  async function vaultKeyOf(owner: string): Promise<Buffer | string> {
    const [slot] = await keySlots.find(owner)
    if (!slot) return 'there is no key slot'
    if (!keys.keyIds.includes(slot.keyId)) return `it is locked with master key ${slot.keyId}, which is not here`
    try {
      return await keys.vaultKey(owner)
    } catch {
      return 'the key slot does not open'
    }
  }

  /**
   * A blob comes before its row, and its run before the blob: what was on the disk is looked for in the books after, and
   * the runs that live after that.
   */
  async function checkBlobs() {
    const living = await livingRuns()
    for (const run of await blobs.runs()) {
      const found = await blobs.list(run)
      report.blobs += found.length
      const stray: string[] = []
      for (let at = 0; at < found.length; at += BATCH) {
        stray.push(...(await ledger.unaccounted(found.slice(at, at + BATCH))))
      }
      if (stray.length === 0 || living.has(run) || (await livingRuns()).has(run)) continue
      const still = new Set(await blobs.list(run))
      report.orphans.push(...stray.filter((blob) => still.has(blob)))
    }
  }

  async function livingRuns(): Promise<Set<string>> {
    return new Set((await ledger.livingRuns()).map(({ run }) => run))
  }
}

function secretsOf(vaultKey: Buffer, owner: string, file: SealedFile): Secrets | null {
  try {
    return openSecrets(vaultKey, owner, file)
  } catch {
    return null
  }
}
