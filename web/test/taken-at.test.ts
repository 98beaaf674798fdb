import { describe, expect, it } from 'vitest'
import { takenAtOf, withOffset } from '../src/pictures/taken-at.ts'
import { type Exif, jpegOf, pngChunk, pngOf, RED, tiffOf, withExif } from './support/pictures.ts'

const DRAWING = { width: 16, height: 8, color: () => RED }
const JPEG = jpegOf(DRAWING)
const NOW = Date.UTC(2026, 10, 29)

const takenAt = (bytes: Buffer) => takenAtOf(new Blob([new Uint8Array(bytes)]), NOW)
const ofJpeg = (exif: Exif) => takenAt(withExif(JPEG, exif))

describe('the date in a photo', () => {
  it('has the offset that the camera wrote, in both byte orders and for every orientation', async () => {
    for (const order of ['II', 'MM'] as const) {
      for (let orientation = 1; orientation <= 8; orientation += 1) {
        const exif = { order, orientation, DateTimeOriginal: '2026:07:14 12:30:05', OffsetTimeOriginal: '+05:30' }
        expect(await ofJpeg(exif)).toBe('2026-07-14T12:30:05.000+05:30')
      }
    }
  })

  it('has parts of a second, whether they are in the directory or behind it', async () => {
    const date = { DateTimeOriginal: '1999:12:31 23:59:59', OffsetTimeOriginal: '-08:00' }
    expect(await ofJpeg({ ...date, SubSecTimeOriginal: '7' })).toBe('1999-12-31T23:59:59.700-08:00')
    expect(await ofJpeg({ ...date, SubSecTimeOriginal: '123456' })).toBe('1999-12-31T23:59:59.123-08:00')
  })

  it('without an offset, is at that local time of the zone of the browser', async () => {
    for (const date of ['2026-01-15T12:00:00', '2026-07-15T12:00:00']) {
      const taken = await ofJpeg({ DateTimeOriginal: date.replaceAll('-', ':').replace('T', ' ') })
      expect(taken?.slice(0, 19)).toBe(date)
      expect(Date.parse(taken ?? '')).toBe(new Date(date).getTime())
    }
  })

  it('is read beside a place', async () => {
    const exif = { DateTimeOriginal: '2026:07:14 12:30:05', OffsetTimeOriginal: '+02:00', latitude: 52 }
    expect(await ofJpeg(exif)).toBe('2026-07-14T12:30:05.000+02:00')
  })

  it('is read from a PNG, and from the end of a WebP', async () => {
    const tiff = tiffOf({ DateTimeOriginal: '2026:07:14 12:30:05', OffsetTimeOriginal: '+02:00' })
    expect(await takenAt(pngOf(DRAWING, [pngChunk('eXIf', tiff)]))).toBe('2026-07-14T12:30:05.000+02:00')
    expect(await takenAt(webpOf(tiff))).toBe('2026-07-14T12:30:05.000+02:00')
  })

  it('is read from a HEIC, also behind the picture', async () => {
    const tiff = tiffOf({ DateTimeOriginal: '2026:07:14 12:30:05', OffsetTimeOriginal: '+02:00' })
    for (const picture of [0, 400_000])
      expect(await takenAt(heicOf(tiff, picture))).toBe('2026-07-14T12:30:05.000+02:00')
  })

  it('is none where there is none, or an impossible one', async () => {
    const none = ['0000:00:00 00:00:00', '    :  :     :  :  ', '2026:02:30 12:00:00', '2026:13:01 12:00:00', '']
    const implausible = ['1825:12:31 12:00:00', '2026:11:30 01:00:00', '9999:01:01 00:00:00']
    for (const date of [...none, ...implausible])
      expect(await ofJpeg({ DateTimeOriginal: date, OffsetTimeOriginal: '+00:00' })).toBeNull()
    expect(await ofJpeg({ orientation: 6 })).toBeNull()
    expect(await takenAt(JPEG)).toBeNull()
  })

  it('is none in files that are broken or something else', async () => {
    const photo = withExif(JPEG, { DateTimeOriginal: '2026:07:14 12:30:05', OffsetTimeOriginal: '+02:00' })
    for (let end = 0; end < 120; end += 7)
      expect([undefined, '2026-07-14T12:30:05']).toContain((await takenAt(photo.subarray(0, end)))?.slice(0, 19))
    expect(await takenAt(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))).toBeNull()
  })

  it('ignores an offset that no place has', () => {
    expect(withOffset('2026:07:14 12:30:05', '', '+99:00')?.slice(0, 23)).toBe('2026-07-14T12:30:05.000')
    expect(withOffset('2026:07:14 12:30:05', '', '+99:00')).not.toContain('+99')
  })
})

describe('the date in a film', () => {
  const TAKEN = Date.UTC(2026, 6, 14, 10, 30, 5)
  const seconds = TAKEN / 1000 + 2_082_844_800

  it('is found before and behind the pictures, in both sizes of its field', async () => {
    const pictures = box('mdat', Buffer.alloc(300_000))
    for (const moov of [box('moov', mvhd(seconds)), box('moov', mvhd(seconds, 1))]) {
      for (const boxes of [
        [moov, pictures],
        [pictures, moov],
      ]) {
        const taken = await takenAt(Buffer.concat([box('ftyp', Buffer.from('isomiso2')), ...boxes]))
        expect(Date.parse(taken ?? '')).toBe(TAKEN)
        expect(taken?.slice(0, 19)).toBe(local(TAKEN))
      }
    }
  })

  it('is none where there is none', async () => {
    const start = box('ftyp', Buffer.from('qt  '))
    expect(await takenAt(Buffer.concat([start, box('moov', mvhd(0))]))).toBeNull()
    expect(await takenAt(Buffer.concat([start, box('moov', mvhd(4_294_967_295))]))).toBeNull()
    expect(await takenAt(Buffer.concat([start, Buffer.alloc(100)]))).toBeNull()
    expect(await takenAt(Buffer.concat([start, box('mdat', Buffer.alloc(10))]))).toBeNull()
  })
})

/** By the clock of this place. */
function local(time: number): string {
  const date = new Date(time)
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

function box(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(8 + content.length, 0)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, content])
}

function mvhd(seconds: number, version: 0 | 1 = 0): Buffer {
  const content = Buffer.alloc(100)
  content.writeUInt8(version, 0)
  if (version === 1) content.writeBigUInt64BE(BigInt(seconds), 4)
  else content.writeUInt32BE(seconds, 4)
  return box('mvhd', content)
}

/** HEIF (ISO/IEC 23008-12): the list of items, where they are, and one item of the type Exif behind the picture. */
function heicOf(tiff: Buffer, pictureBytes: number): Buffer {
  const full = (type: string, version: number, content: Buffer) =>
    box(type, Buffer.concat([Buffer.from([version, 0, 0, 0]), content]))
  const item = Buffer.concat([Buffer.from([0, 0x31, 0, 0]), Buffer.from('Exif\0')])
  const list = full('iinf', 0, Buffer.concat([Buffer.from([0, 1]), full('infe', 2, item)]))
  // Four bytes say where the TIFF header begins.
  const exif = Buffer.concat([Buffer.from([0, 0, 0, 6]), Buffer.from('Exif\0\0'), tiff])
  const start = box('ftyp', Buffer.from('heic\0\0\0\0mif1heic'))
  const meta = (offset: number) => {
    const place = Buffer.alloc(20)
    // Offsets and lengths of 4 bytes; one item (0x31) of one extent.
    place.set([0x44, 0, 0, 1, 0, 0x31, 0, 0, 0, 1])
    place.writeUInt32BE(offset, 10)
    place.writeUInt32BE(exif.length, 14)
    return full('meta', 0, Buffer.concat([list, full('iloc', 0, place.subarray(0, 18))]))
  }
  const at = start.length + meta(0).length + 8 + pictureBytes
  return Buffer.concat([start, meta(at), box('mdat', Buffer.concat([Buffer.alloc(pictureBytes), exif]))])
}

/** A WebP whose Exif is behind 300 KB of something else. */
function webpOf(tiff: Buffer): Buffer {
  const chunk = (type: string, content: Buffer) => {
    const head = Buffer.alloc(8)
    head.write(type, 0, 'latin1')
    head.writeUInt32LE(content.length, 4)
    return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
  }
  const features = Buffer.from([0x08, 0, 0, 0, 15, 0, 0, 7, 0, 0])
  const content = Buffer.concat([
    ...[Buffer.from('WEBP'), chunk('VP8X', features), chunk('VP8 ', Buffer.alloc(300_000)), chunk('EXIF', tiff)],
  ])
  return chunk('RIFF', content)
}
