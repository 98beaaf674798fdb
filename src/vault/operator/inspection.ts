/** Checks whether a file opens as it was uploaded: its seal, every frame of its blob, its length and its SHA-256. */
import { createHash } from 'node:crypto'
import type { BlobStore } from '../../ports/blobs.ts'
import type { OwnedFile, SealedFile } from '../../ports/files.ts'
import type { Needs } from '../context.ts'
import { openContent, wholeOf } from '../crypto/content.ts'
import { blobBytes, frameOpener, HEADER_BYTES, openSecrets, type Secrets } from '../crypto/envelope.ts'
import { tagOf } from '../files/tags.ts'

/** `unreadable`: the store has an error of its own, which says nothing about the bytes. */
export type Finding =
  | { kind: 'sound' }
  | { kind: 'missing' }
  | { kind: 'damaged'; why: string }
  | { kind: 'unreadable'; why: string; cause: unknown }

const SOUND: Finding = { kind: 'sound' }

export interface Inspection {
  /** The vault key, or the reason why it cannot be opened. */
  vaultKeyOf(owner: string): Promise<Buffer | string>
  /** Opens the whole file with the blob in this store. */
  inspect(blobs: BlobStore, owned: OwnedFile): Promise<Finding>
}

/** `onBytes` is called with the number of bytes that were read. */
export function openInspection({
  ports: { keySlots },
  keys,
  onBytes,
}: Needs<'keySlots', 'keys'> & { onBytes(bytes: number): void }): Inspection {
  return { vaultKeyOf, inspect }

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

  async function inspect(blobs: BlobStore, { owner, file }: OwnedFile): Promise<Finding> {
    const key = await vaultKeyOf(owner)
    if (typeof key === 'string') return { kind: 'damaged', why: `its owner's key cannot be had: ${key}` }
    const secrets = secretsOf(key, owner, file)
    if (!secrets) return { kind: 'damaged', why: 'its seal does not open' }
    if (file.tag && !file.tag.equals(tagOf(key, secrets.sha256))) {
      return { kind: 'damaged', why: 'its tag is that of another content' }
    }
    try {
      return await inspectBlob(blobs, file, secrets)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      return code && /^E[A-Z]+$/.test(code)
        ? { kind: 'unreadable', why: `its blob cannot be read (${code})`, cause }
        : { kind: 'damaged', why: 'its blob does not open' }
    }
  }

  async function inspectBlob(blobs: BlobStore, file: SealedFile, secrets: Secrets): Promise<Finding> {
    const { blob } = file
    const length = await blobs.length(blob)
    if (length === null) return { kind: 'missing' }
    const expected = blobBytes(secrets.sizeBytes)
    if (length !== expected) return { kind: 'damaged', why: lengthFault(length, expected) }
    const digest = await (secrets.sizeBytes === 0 ? digestOfNothing : digestOf)(blobs, file, secrets)
    if (digest === null) return { kind: 'missing' }
    return digest === secrets.sha256 ? SOUND : { kind: 'damaged', why: 'its content has another SHA-256' }
  }

  async function digestOf(blobs: BlobStore, file: SealedFile, secrets: Secrets): Promise<string | null> {
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
}

/** An empty content has no range to read, but its blob has a frame, which must open. */
async function digestOfNothing(blobs: BlobStore, { blob }: SealedFile, { fileKey }: Secrets): Promise<string | null> {
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

/** The reason for a blob that is too long or too short. */
export function lengthFault(length: number, expected: number): string {
  return `its blob has ${length} bytes instead of ${expected}`
}

function secretsOf(vaultKey: Buffer, owner: string, file: SealedFile): Secrets | null {
  try {
    return openSecrets(vaultKey, owner, file)
  } catch {
    return null
  }
}
