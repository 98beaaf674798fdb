/**
 * Checks whether a file opens as it was uploaded: its seal, every frame of its parts, their lengths and its SHA-256. Of an
 * upload that is not complete, everything but the SHA-256.
 */
import { createHash } from 'node:crypto'
import type { BlobStore } from '../../ports/blobs.ts'
import type { SealedFile } from '../../ports/files.ts'
import type { OwnedUpload } from '../../ports/uploads.ts'
import type { Needs } from '../context.ts'
import { openContent, partsFrom, wholeOf } from '../crypto/content.ts'
import {
  blobBytes,
  frameOpener,
  HEADER_BYTES,
  openPartKey,
  openSecrets,
  openUploadKey,
  type Secrets,
} from '../crypto/envelope.ts'
import { Damage, damageIn } from './damage.ts'
import { tagOf } from './tags.ts'

/** The fault of a content and of one of its blobs, if there is one. `unreadable`: the store has an error of its own. */
export type Finding =
  | { kind: 'sound' }
  | { kind: 'missing'; blob: string }
  | { kind: 'damaged'; blob: string; why: string }
  | { kind: 'unreadable'; blob: string; why: string; cause: unknown }

const SOUND: Finding = { kind: 'sound' }

type Sealed = Pick<SealedFile, 'id' | 'version'>

/** Everything that is needed to open a file. */
export interface Openable {
  owner: string
  file: Pick<SealedFile, 'id' | 'version' | 'sizeBytes' | 'seal' | 'tag'>
}

export interface Inspection {
  /** The vault key, or the reason why it cannot be opened. */
  vaultKeyOf(owner: string): Promise<Buffer | string>
  /** Opens the whole file with the blobs in this store. */
  inspect(blobs: BlobStore, owned: Openable): Promise<Finding>
  /** Opens everything that the upload had received when it was read. */
  inspectUpload(blobs: BlobStore, owned: OwnedUpload): Promise<Finding>
}

/** `onBytes` is called with the number of bytes that were read. The reading waits for it. */
export function openInspection({
  ports: { keySlots, files },
  keys,
  onBytes,
}: Needs<'keySlots' | 'files', 'keys'> & { onBytes(bytes: number): void | Promise<void> }): Inspection {
  return { vaultKeyOf, inspect, inspectUpload }

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

  async function inspect(blobs: BlobStore, { owner, file }: Openable): Promise<Finding> {
    const blob = await firstBlobOf(file.version)
    const key = await vaultKeyOf(owner)
    if (typeof key === 'string') return locked(blob, key)
    const secrets = openedOrNull(() => openSecrets(key, owner, file))
    if (!secrets) return unsealed(blob)
    if (file.tag && !file.tag.equals(tagOf(key, secrets.sha256))) {
      return { kind: 'damaged', blob, why: 'its tag is that of another content' }
    }
    return inspectContent(blobs, file, secrets, blob)
  }

  async function inspectUpload(blobs: BlobStore, { owner, upload }: OwnedUpload): Promise<Finding> {
    const { id, offset: sizeBytes, parts } = upload
    const blob = await firstBlobOf(id)
    const key = await vaultKeyOf(owner)
    if (typeof key === 'string') return locked(blob, key)
    const fileKey = openedOrNull(() => openUploadKey(key, owner, upload))
    if (!fileKey) return unsealed(blob)
    if (parts === 0) return SOUND
    return inspectContent(blobs, { id, version: id }, { fileKey, sizeBytes, parts, sha256: null }, blob)
  }

  async function firstBlobOf(version: string): Promise<string> {
    const [first] = await files.parts(version, 0, 1)
    return first?.blob ?? ''
  }

  /** `sha256` is `null` for an upload, which may have more parts by now. */
  async function inspectContent(
    blobs: BlobStore,
    content: Sealed,
    { sha256, ...known }: Omit<Secrets, 'sha256'> & { sha256: string | null },
    firstBlob: string,
  ): Promise<Finding> {
    const damaged = (why: string, blob = firstBlob): Finding => ({ kind: 'damaged', blob, why })
    const secrets = { ...known, sha256: sha256 ?? '' }
    let at = firstBlob
    try {
      let parts = 0
      for await (const { blob, sizeBytes } of partsFrom({ files }, content, secrets, 0)) {
        if (sha256 === null && parts === secrets.parts) break
        at = blob
        parts += 1
        const length = await blobs.length(blob)
        if (length === null) return { kind: 'missing', blob }
        const expected = blobBytes(sizeBytes)
        if (length !== expected) return damaged(lengthFault(length, expected), blob)
      }
      if (parts !== secrets.parts) return damaged(`it has ${parts} parts instead of ${secrets.parts}`)
      at = firstBlob
      const digest = await (secrets.sizeBytes === 0 ? digestOfNothing : digestOf)(blobs, content, secrets)
      if (digest === null) return { kind: 'missing', blob: firstBlob }
      return sha256 === null || digest === sha256 ? SOUND : damaged('its content has another SHA-256')
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      return code && /^E[A-Z]+$/.test(code)
        ? { kind: 'unreadable', blob: at, why: `its blob cannot be read (${code})`, cause }
        : damagedBy(damageIn(cause), at)
    }
  }

  async function digestOf(blobs: BlobStore, file: Sealed, secrets: Secrets): Promise<string | null> {
    const reader = await openContent({ files, blobs }, file, secrets, wholeOf(secrets.sizeBytes))
    if (!reader) return null
    const hash = createHash('sha256')
    try {
      for (let chunks = await reader.next(); chunks; chunks = await reader.next()) {
        for (const chunk of chunks) hash.update(chunk)
        await onBytes(chunks.reduce((sum, { length }) => sum + length, 0))
      }
    } finally {
      await reader.close()
    }
    return hash.digest('hex')
  }

  /** An empty content has no range to read, but its blob has a frame, which must open. */
  async function digestOfNothing(blobs: BlobStore, file: Sealed, secrets: Secrets): Promise<string | null> {
    const [part] = await files.parts(file.version, 0, 1)
    const reader = part ? await blobs.open(part.blob, 0, blobBytes(0)) : null
    if (!part || !reader) return null
    try {
      const bytes = await reader.read(blobBytes(0))
      const openFrame = frameOpener(openPartKey(secrets, part), bytes.subarray(0, HEADER_BYTES), 0)
      const nothing = openFrame(0, bytes.subarray(HEADER_BYTES))
      return createHash('sha256').update(nothing).digest('hex')
    } finally {
      await reader.close()
    }
  }
}

/** The fault of a file as an error. */
export function damageOf(fileId: string, finding: Exclude<Finding, { kind: 'sound' }>): Damage {
  const { blob } = finding
  if (finding.kind === 'missing') return new Damage(fileId, 'is missing', { blob })
  const cause = finding.kind === 'unreadable' ? finding.cause : undefined
  return new Damage(fileId, `${finding.why} (blob ${blob || 'none'})`, { cause })
}

function damagedBy(damage: Damage | null, blob: string): Finding {
  if (damage?.blob === null) return { kind: 'damaged', blob, why: damage.how }
  return { kind: 'damaged', blob: damage?.blob ?? blob, why: `its blob ${damage?.how ?? 'does not open'}` }
}

/** The reason for a blob that is too long or too short. */
export function lengthFault(length: number, expected: number): string {
  return `its blob has ${length} bytes instead of ${expected}`
}

function openedOrNull<T>(open: () => T): T | null {
  try {
    return open()
  } catch {
    return null
  }
}

const locked = (blob: string, why: string): Finding => ({
  kind: 'damaged',
  blob,
  why: `its owner's key cannot be had: ${why}`,
})

const unsealed = (blob: string): Finding => ({ kind: 'damaged', blob, why: 'its seal does not open' })
