/** That the product writes what `docs/blob-format.md` says: against its vectors, and against a reader written from it alone. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SealedFile } from '../../src/ports/files.ts'
import {
  blobBytes,
  FRAME_BYTES,
  frameSealer,
  openPartKey,
  openSecrets,
  openUploadKey,
  sealPartKey,
  sealSecrets,
  sealUploadKey,
} from '../../src/vault/crypto/envelope.ts'
import { keyIdOf, openKeyring } from '../../src/vault/crypto/keyring.ts'
import { openThumbnail, sealThumbnail } from '../../src/vault/crypto/thumbnail.ts'
import { tagOf } from '../../src/vault/files/tags.ts'
import { member, type TestApp, testApp } from '../support/app.ts'
import { contentOf, openBlob, openSeal, openSlot } from '../support/blob-reader.ts'

interface Vectors {
  masterKey: string
  keyId: string
  userId: string
  vaultKey: string
  slot: string
  files: {
    fileId: string
    fileKey: string
    sha256: string
    size: number
    seal: string
    tag: string
    blob?: string
    blobSha256?: string
    salt?: string
  }[]
  uploads: { uploadId: string; fileKey: string; seal: string }[]
  thumbnails: { tag: string; contentType: string; sha256: string; size: number; sealed: string }[]
  versions: { fileKey: string; size: number; parts: { start: number; size: number; key: string; seal: string }[] }[]
}

const hex = (text: string) => Buffer.from(text, 'hex')
const vectors = JSON.parse(
  await readFile(join(import.meta.dirname, '..', '..', 'docs', 'blob-format-vectors.json'), 'utf8'),
) as Vectors

/** The nonce of a slot or seal. */
const nonceIn = (sealed: string) => hex(sealed).subarray(1, 13)

/** In pieces of one frame, each of chunks of so many bytes. */
function sealed(fileKey: Buffer, salt: Buffer, content: Buffer, step: number): Buffer {
  const seal = frameSealer(fileKey, salt)
  const pieces: Uint8Array[] = []
  let at = 0
  for (; content.length - at > FRAME_BYTES; at += FRAME_BYTES) {
    pieces.push(...seal(chunksOf(content.subarray(at, at + FRAME_BYTES), step), FRAME_BYTES, false))
  }
  return Buffer.concat([...pieces, ...seal(chunksOf(content.subarray(at), step), content.length - at, true)])
}

function chunksOf(bytes: Buffer, step: number): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += step) chunks.push(bytes.subarray(at, at + step))
  return chunks
}

describe('the vectors', () => {
  const masterKey = hex(vectors.masterKey)
  const slots = (sealedSlot: string) => ({
    find: async () => [{ kind: 'server' as const, keyId: vectors.keyId, sealed: hex(sealedSlot) }],
    add: async () => {},
    countByKey: async () => new Map(),
    notUnder: async () => [],
    replace: async () => false,
    purge: async () => true,
  })

  it('give the master key its id', () => {
    expect(keyIdOf(masterKey)).toBe(vectors.keyId)
  })

  it('are the slots that are made, and open', async () => {
    const bytes = (count: number) => (count === 12 ? nonceIn(vectors.slot) : hex(vectors.vaultKey))
    const keys = openKeyring({
      ports: { masterKeys: { current: masterKey, previous: [] }, keySlots: slots(vectors.slot), chance: { bytes } },
    })
    expect(keys.newSlot(vectors.userId)).toEqual({
      kind: 'server',
      keyId: vectors.keyId,
      sealed: hex(vectors.slot),
    })
    expect(await keys.vaultKey(vectors.userId)).toEqual(hex(vectors.vaultKey))
    await expect(keys.vaultKey('somebody-else')).rejects.toThrow()
  })

  it.each(vectors.files)('are the seal and the blob that are made of $size bytes', ({ fileId, size, ...file }) => {
    const vaultKey = hex(vectors.vaultKey)
    const secrets = { fileKey: hex(file.fileKey), sha256: file.sha256, sizeBytes: size, parts: 1 }
    expect(sealSecrets(vaultKey, nonceIn(file.seal), vectors.userId, fileId, secrets).toString('hex')).toBe(file.seal)
    const row = { id: fileId, seal: hex(file.seal), sizeBytes: size }
    expect(openSecrets(vaultKey, vectors.userId, row)).toEqual(secrets)
    expect(tagOf(vaultKey, file.sha256).toString('hex')).toBe(file.tag)

    const salt = file.salt ? hex(file.salt) : hex(file.blob as string).subarray(8, 40)
    const blob = sealed(secrets.fileKey, salt, contentOf(size), 50_000)
    expect(blob).toHaveLength(blobBytes(size))
    if (file.blob) expect(blob.toString('hex')).toBe(file.blob)
    else expect(createHash('sha256').update(blob).digest('hex')).toBe(file.blobSha256)
  })
})

it.each(vectors.versions)('the vectors are the seals that are made of the parts of $size bytes', (version) => {
  const secrets = { fileKey: hex(version.fileKey), sha256: '', sizeBytes: version.size, parts: version.parts.length }
  for (const { start, size, key, seal } of version.parts) {
    const part = { start, sizeBytes: size }
    expect(sealPartKey(secrets.fileKey, nonceIn(seal), part, hex(key)).toString('hex')).toBe(seal)
    expect(openPartKey(secrets, { ...part, seal: hex(seal) })).toEqual(hex(key))
    expect(() => openPartKey(secrets, { ...part, start: start + 1, seal: hex(seal) })).toThrow()
    expect(() => openPartKey(secrets, { ...part, seal: null })).toThrow()
  }
})

it.each(vectors.uploads)(
  'the vector is the seal that is made of the upload $uploadId',
  ({ uploadId: id, fileKey, seal }) => {
    const vaultKey = hex(vectors.vaultKey)
    expect(sealUploadKey(vaultKey, nonceIn(seal), vectors.userId, id, hex(fileKey)).toString('hex')).toBe(seal)
    expect(openUploadKey(vaultKey, vectors.userId, { id, seal: hex(seal) })).toEqual(hex(fileKey))
    expect(() => openUploadKey(vaultKey, 'ben', { id, seal: hex(seal) })).toThrow()
    expect(() => openUploadKey(vaultKey, vectors.userId, { id: 'other', seal: hex(seal) })).toThrow()
  },
)

it.each(vectors.thumbnails)('the vector is the thumbnail that is made of $tag', ({ size, sealed, ...bound }) => {
  const vaultKey = hex(vectors.vaultKey)
  const binding = { owner: vectors.userId, ...bound }
  expect(sealThumbnail(vaultKey, nonceIn(sealed), binding, contentOf(size)).toString('hex')).toBe(sealed)
  expect(openThumbnail(vaultKey, binding, hex(sealed))).toEqual(contentOf(size))
})

describe('a seal', () => {
  const vaultKey = hex(vectors.vaultKey)
  const seal = sealSecrets(vaultKey, Buffer.alloc(12), 'ana', 'file', {
    fileKey: Buffer.alloc(32),
    sha256: '00'.repeat(32),
    sizeBytes: 5,
    parts: 1,
  })

  it.each<[string, string, Partial<SealedFile>]>([
    ['another owner', 'ben', {}],
    ['another file', 'ana', { id: 'other' }],
    ['another size', 'ana', { sizeBytes: 6 }],
    ['another version', 'ana', { seal: Buffer.concat([Buffer.of(2), seal.subarray(1)]) }],
    ['a cut', 'ana', { seal: seal.subarray(0, 20) }],
    ['a changed byte', 'ana', { seal: Buffer.concat([seal.subarray(0, 50), Buffer.of(1), seal.subarray(51)]) }],
  ])('does not open for %s', (_case, owner, change) => {
    expect(() => openSecrets(vaultKey, owner, { id: 'file', seal, sizeBytes: 5, ...change })).toThrow()
  })
})

it('seals the same however the bytes come', () => {
  const [fileKey, salt] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200_000 }), fc.integer({ min: 1, max: 200_000 }), (size, step) => {
      const content = contentOf(size)
      expect(openBlob(fileKey, 0, size, sealed(fileKey, salt, content, step)).equals(content)).toBe(true)
    }),
    { numRuns: 40 },
  )
})

it('puts on disk what a reader that knows the specification alone opens', async () => {
  const app = await testApp()
  const ada = await member(app)
  for (const size of [0, 5, 65_536, 300_001]) {
    await ada.replace('file', contentOf(size))
    const { slot, keyId, seal, id, blob } = rowsOf(app)
    const masterKey = Buffer.from(await readFile(join(app.config.DATA_DIR, 'master.key'), 'utf8'), 'base64')
    const vaultKey = openSlot(masterKey, { kind: 'server', userId: ada.userId, keyId, slot })
    const { fileKey, sha256, parts } = openSeal(vaultKey, { userId: ada.userId, fileId: id, seal, size })
    expect(parts).toBe(1)
    const bytes = openBlob(fileKey, 0, size, await readFile(join(app.config.UPLOADS_DIR, blob)))
    expect(bytes.equals(contentOf(size))).toBe(true)
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(Buffer.from(sha256).toString('hex'))
  }
})

it('leaves no content and no digest on the disk in clear', async () => {
  const app = await testApp()
  const ada = await member(app)
  const content = `a secret that nobody else wrote ${'x'.repeat(100)}`
  const { sha256 } = (await ada.put('file', content)).body as { sha256: string }
  const { blob } = rowsOf(app)
  const stored = [
    await readFile(join(app.config.UPLOADS_DIR, blob)),
    await readFile(join(app.config.DATA_DIR, 'minikeepsafe.db')),
    await readFile(join(app.config.DATA_DIR, 'minikeepsafe.db-wal')),
  ]
  for (const bytes of stored) {
    for (const secret of [content.slice(0, 16), sha256, hex(sha256)]) expect(bytes.includes(secret)).toBe(false)
  }
})

function rowsOf(app: TestApp) {
  const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'), { readonly: true })
  const row = db.prepare(
    'SELECT sealed AS slot, key_id AS keyId, files.seal, id, blob FROM files JOIN key_slots USING (user_id) JOIN parts USING (version)',
  )
  const found = row.get() as { slot: Buffer; keyId: string; seal: Buffer; id: string; blob: string }
  db.close()
  return found
}
