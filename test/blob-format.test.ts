import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  blobKeyOf,
  contentOf,
  frameNonce,
  keyIdOf,
  openBlob,
  openPartKeys,
  openSeal,
  openSlot,
  openThumbnail,
  openUploadSeal,
} from './support/blob-reader.ts'

type FileVector = Record<'fileId' | 'fileKey' | 'sha256' | 'seal', string> & { size: number } & (
    | { blob: string }
    | { blobSha256: string; salt: string }
  )
type PartVector = Record<'key' | 'seal' | 'salt' | 'blobSha256', string> & Record<'start' | 'size', number>
type VersionVector = Record<'fileId' | 'fileKey' | 'sha256' | 'seal', string> & { size: number; parts: PartVector[] }
type Vectors = Record<'masterKey' | 'keyId' | 'userId' | 'vaultKey' | 'slot', string> & {
  files: FileVector[]
  versions: VersionVector[]
  uploads: Record<'uploadId' | 'fileKey' | 'seal', string>[]
  thumbnails: (Record<'tag' | 'contentType' | 'sha256' | 'sealed', string> & { size: number })[]
}

const vectors: Vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'docs', 'blob-format-vectors.json'), 'utf8'),
)
const { keyId, userId, files } = vectors
const masterKey = hex(vectors.masterKey)
const vaultKey = hex(vectors.vaultKey)
const frameBytes = 65_536

describe('a slot', () => {
  const slot = { kind: 'server', userId, keyId, slot: hex(vectors.slot) }

  it('opens to the vault key', () => {
    expect(keyIdOf(masterKey)).toBe(keyId)
    expect(openSlot(masterKey, slot)).toEqual(vaultKey)
  })

  it.each([
    ...damaged(slot.slot).map(([what, bytes]) => ({ what, change: { slot: bytes } })),
    { what: 'another kind', change: { kind: 'other' } },
    { what: 'another user', change: { userId: 'ben' } },
    { what: 'another key id', change: { keyId: '0011223344556677' } },
  ])('is refused: $what', ({ change }) => {
    expect(() => openSlot(masterKey, { ...slot, ...change })).toThrow()
  })

  it('is refused: another master key', () => {
    expect(() => openSlot(flipped(masterKey, 31), slot)).toThrow()
  })
})

describe('a seal', () => {
  const [empty, one] = files.map(({ fileId, size, seal }) => ({ userId, fileId, size, seal: hex(seal) }))
  if (!empty || !one) throw new Error('there are two vectors at least')

  it.each(files)('of $size bytes opens', ({ fileId, fileKey, sha256, size, seal }) => {
    const opened = openSeal(vaultKey, { userId, fileId, size, seal: hex(seal) })
    expect(opened).toEqual({ fileKey: hex(fileKey), sha256: hex(sha256), size, parts: 1 })
  })

  it('opens up to the largest size', () => {
    const size = (2 ** 32 - 1) * frameBytes
    expect(openSeal(vaultKey, { ...one, size, seal: sealOf(size, 1) })).toMatchObject({ size, parts: 1 })
  })

  it.each([
    ...damaged(one.seal).map(([what, bytes]) => ({ what, change: { seal: bytes } })),
    { what: 'another user', change: { userId: 'ben' } },
    { what: 'another file', change: { fileId: empty.fileId } },
    { what: 'the seal of another file', change: { seal: empty.seal } },
    { what: 'another size in clear', change: { size: 0 } },
    { what: 'no parts', change: { seal: sealOf(1, 0) } },
    { what: 'a byte more inside', change: { seal: sealOf(1, 1, Buffer.of(0)) } },
    { what: 'more than a blob holds', change: { size: 2 ** 48, seal: sealOf(2 ** 48, 1) } },
  ])('is refused: $what', ({ change }) => {
    expect(() => openSeal(vaultKey, { ...one, ...change })).toThrow()
  })

  it('is refused: another vault key', () => {
    expect(() => openSeal(flipped(vaultKey, 0), one)).toThrow()
  })

  function sealOf(size: number, parts: number, more = Buffer.alloc(0)): Buffer {
    const numbers = Buffer.alloc(12)
    numbers.writeBigUInt64BE(BigInt(size))
    numbers.writeUInt32BE(parts, 8)
    const nonce = Buffer.alloc(12, 7)
    const aad = `minikeepsafe file 1\0${userId}\0${one?.fileId}`
    const inside = Buffer.concat([Buffer.alloc(64), numbers, more])
    return Buffer.concat([Buffer.of(1), nonce, gcm(vaultKey, nonce, aad, inside)])
  }
})

describe.each(vectors.versions)(
  'a content of $size bytes in parts',
  ({ fileId, fileKey, sha256: digest, size, seal, ...version }) => {
    const opened = openSeal(vaultKey, { userId, fileId, size, seal: hex(seal) })
    const rows = version.parts.map(({ seal, ...part }) => ({ ...part, seal: hex(seal) }))
    const [first, second] = rows as [(typeof rows)[number], (typeof rows)[number]]

    it('opens, part by part', () => {
      expect(opened).toEqual({ fileKey: hex(fileKey), sha256: hex(digest), size, parts: rows.length })
      const keys = openPartKeys(opened, rows)
      expect(keys).toEqual(rows.map(({ key }) => hex(key)))
      const contents = rows.map(({ start, size, salt, blobSha256 }, n) => {
        const bytes = contentOf(start + size).subarray(start)
        const blob = sealed(keys[n] as Buffer, 0, hex(salt), framesOf(bytes))
        expect(sha256(blob)).toBe(blobSha256)
        return openBlob(keys[n] as Buffer, 0, size, blob)
      })
      expect(sha256(Buffer.concat(contents))).toBe(digest)
    })

    it.each<[string, { seal: Buffer | null; start: number; size: number }[]]>([
      ['a part fewer', rows.slice(0, -1)],
      ['a part more', [...rows, first]],
      ['two parts exchanged', [{ ...first, seal: second.seal }, { ...second, seal: first.seal }, ...rows.slice(2)]],
      ['a part without a seal', [{ ...first, seal: null }, ...rows.slice(1)]],
      [
        'a part that begins later',
        [first, { ...second, start: second.start + 1, size: second.size - 1 }, ...rows.slice(2)],
      ],
      [
        'another cut',
        [
          { ...first, size: first.size + 1 },
          { ...second, start: second.start + 1, size: second.size - 1 },
          ...rows.slice(2),
        ],
      ],
      ...damaged(first.seal).map(([what, bytes]): [string, typeof rows] => [
        what,
        [{ ...first, seal: bytes }, ...rows.slice(1)],
      ]),
    ])('is refused: %s', (_, changed) => {
      expect(() => openPartKeys(opened, changed)).toThrow()
    })
  },
)

describe.each(vectors.uploads)('the seal of the upload $uploadId', ({ uploadId, fileKey, seal }) => {
  const upload = { userId, uploadId, seal: hex(seal) }

  it('opens to its file key', () => {
    expect(openUploadSeal(vaultKey, upload)).toEqual(hex(fileKey))
  })

  it.each([
    ...damaged(upload.seal).map(([what, bytes]) => ({ what, change: { seal: bytes } })),
    { what: 'another user', change: { userId: 'ben' } },
    { what: 'another upload', change: { uploadId: 'other' } },
    { what: 'a slot', change: { seal: hex(vectors.slot) } },
  ])('is refused: $what', ({ change }) => {
    expect(() => openUploadSeal(vaultKey, { ...upload, ...change })).toThrow()
  })
})

describe.each(vectors.thumbnails)('the thumbnail $tag', ({ sealed, ...vector }) => {
  const thumbnail = { userId, ...vector, sealed: hex(sealed) }

  it('opens', () => {
    expect(openThumbnail(vaultKey, thumbnail)).toEqual(contentOf(vector.size))
  })

  it.each([
    ...damaged(thumbnail.sealed).map(([what, bytes]) => ({ what, change: { sealed: bytes } })),
    { what: 'another user', change: { userId: 'ben' } },
    { what: 'another tag', change: { tag: 'other' } },
    { what: 'another type', change: { contentType: 'image/png' } },
    { what: 'another content', change: { sha256: '00'.repeat(32) } },
    { what: 'another size', change: { size: vector.size + 1 } },
  ])('is refused: $what', ({ change }) => {
    expect(() => openThumbnail(vaultKey, { ...thumbnail, ...change })).toThrow()
  })
})

describe('a blob', () => {
  it.each(files)('of $size bytes comes out as its vector, and opens', (file) => {
    const key = hex(file.fileKey)
    const blob = sealed(key, 0, saltOf(file), pieces(file.size))
    if ('blob' in file) expect(blob.toString('hex')).toBe(file.blob)
    else expect(sha256(blob)).toBe(file.blobSha256)

    const content = openBlob(key, 0, file.size, blob)
    expect(content.equals(contentOf(file.size))).toBe(true)
    expect(sha256(content)).toBe(file.sha256)
  })

  const refused = files.filter(({ size }) => size <= 200_000)
  describe.each(refused)('of $size bytes is refused:', (file) => {
    const { size } = file
    const key = hex(file.fileKey)
    const salt = saltOf(file)
    const blob = sealed(key, 0, salt, pieces(size))
    const [header, frames] = taken(blob)
    const [otherHeader, otherFrames] = taken(sealed(key, 0, Buffer.alloc(32, 9), pieces(size)))
    const last = frames.slice(-1)

    it.each<[string, Buffer[]]>([
      ...damaged(blob).map(([what, bytes]): [string, Buffer[]] => [what, [bytes]]),
      ['of version 2', [blob.subarray(0, 7), Buffer.of(2), blob.subarray(8)]],
      ['the first frame dropped', [header, ...frames.slice(1)]],
      ['the last frame dropped', [header, ...frames.slice(0, -1)]],
      ['the last frame twice', [header, ...frames, ...last]],
      ['an empty last frame more', [sealed(key, 0, salt, [...pieces(size), Buffer.alloc(0)])]],
      ['the header of another blob', [otherHeader, ...frames]],
      ['the first frame of another blob', [header, ...otherFrames.slice(0, 1), ...frames.slice(1)]],
      ['the last frame of another blob', [header, ...frames.slice(0, -1), ...otherFrames.slice(-1)]],
      ['a frame of another blob more', [header, ...frames, ...otherFrames.slice(-1)]],
      ['made for another part', [sealed(key, 1, salt, pieces(size))]],
      ...(frames.length < 2 ? [] : [exchanged()]),
    ])('%s', (_, changed) => {
      const bytes = Buffer.concat(changed)
      expect(() => openBlob(key, 0, size, bytes)).toThrow()
      // Not for its length alone: with the size that this length would have, too.
      expect(() => openBlob(key, 0, sizeOf(bytes.length), bytes)).toThrow()
    })

    it.each([size + 1, size - 1, size + 16, size + frameBytes, size - frameBytes, size + 0.5])(
      'as %d bytes',
      (wrong) => {
        expect(() => openBlob(key, 0, wrong, blob)).toThrow()
      },
    )

    it('as another part, or under another file key', () => {
      expect(() => openBlob(key, 1, size, blob)).toThrow()
      expect(() => openBlob(flipped(key, 0), 0, size, blob)).toThrow()
    })

    function exchanged(): [string, Buffer[]] {
      return ['two frames exchanged', [header, ...frames.slice(0, 2).reverse(), ...frames.slice(2)]]
    }
  })
})

/** One bit here and there, every field and both ends of the first and last frame among them; too short; too long. */
function damaged(bytes: Buffer): [string, Buffer][] {
  const { length } = bytes
  const places = [0, 1, 7, 8, 12, 13, 39, 40, 40 + frameBytes, 55 + frameBytes, length - 17, length - 16, length - 1]
  return [
    ...[...new Set(places)]
      .filter((at) => at < length)
      .map((at): [string, Buffer] => [`a bit of byte ${at}`, flipped(bytes, at)]),
    ['without its first byte', bytes.subarray(1)],
    ['without its last byte', bytes.subarray(0, -1)],
    ['with a byte more', Buffer.concat([bytes, Buffer.of(0)])],
    ['nothing at all', Buffer.alloc(0)],
  ]
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

function pieces(size: number): Buffer[] {
  return framesOf(contentOf(size))
}

function framesOf(content: Buffer): Buffer[] {
  const count = Math.max(1, Math.ceil(content.length / frameBytes))
  return Array.from({ length: count }, (_, i) => content.subarray(i * frameBytes, (i + 1) * frameBytes))
}

function sealed(fileKey: Buffer, part: number, salt: Buffer, contents: Buffer[]): Buffer {
  const key = blobKeyOf(fileKey, salt, part)
  const frames = contents.map((bytes, i) => gcm(key, frameNonce(i, i === contents.length - 1), '', bytes))
  return Buffer.concat([Buffer.from('MKSBLOB\x01'), salt, ...frames])
}

function gcm(key: Buffer, nonce: Buffer, aad: string, bytes: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(aad))
  return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
}

function taken(blob: Buffer): [header: Buffer, frames: Buffer[]] {
  const stride = frameBytes + 16
  const count = Math.ceil((blob.length - 40) / stride)
  const frames = Array.from({ length: count }, (_, i) => blob.subarray(40 + i * stride, 40 + (i + 1) * stride))
  return [blob.subarray(0, 40), frames]
}

function sizeOf(blobLength: number): number {
  return blobLength - 40 - 16 * Math.ceil((blobLength - 40) / (frameBytes + 16))
}

function saltOf(file: FileVector): Buffer {
  return 'salt' in file ? hex(file.salt) : hex(file.blob).subarray(8, 40)
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
