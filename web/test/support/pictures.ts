/** Pictures that are made by code. */
import { crc32, deflateSync } from 'node:zlib'
import jpeg from 'jpeg-js'

/** Red, green, blue, and opacity where it is not full. */
export type Color = readonly [number, number, number] | readonly [number, number, number, number]

export interface Drawing {
  width: number
  height: number
  color: (x: number, y: number) => Color
}

export const RED = [200, 30, 30] as const
export const BLUE = [30, 30, 200] as const
export const GREEN = [30, 160, 30] as const

function pixels({ width, height, color }: Drawing): Buffer {
  const data = Buffer.alloc(width * height * 4, 255)
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) data.set(color(x, y), (y * width + x) * 4)
  return data
}

export const jpegOf = (drawing: Drawing): Buffer =>
  jpeg.encode({ data: pixels(drawing), width: drawing.width, height: drawing.height }, 85).data

/** The picture as a camera stores it that was held in the way of the orientation (CIPA DC-008, 1 to 8): rows and columns may change. */
export function storedFor(orientation: number, { width, height, color }: Drawing): Drawing {
  const isTurned = orientation >= 5
  const from = [
    (x: number, y: number) => color(x, y),
    (x: number, y: number) => color(width - 1 - x, y),
    (x: number, y: number) => color(width - 1 - x, height - 1 - y),
    (x: number, y: number) => color(x, height - 1 - y),
    (x: number, y: number) => color(y, x),
    (x: number, y: number) => color(width - 1 - y, x),
    (x: number, y: number) => color(width - 1 - y, height - 1 - x),
    (x: number, y: number) => color(y, height - 1 - x),
  ][orientation - 1]
  if (!from) throw new Error('orientations are 1 to 8')
  return isTurned ? { width: height, height: width, color: from } : { width, height, color: from }
}

/** With transparency. */
export function pngOf(drawing: Drawing, chunksBefore: Buffer[] = []): Buffer {
  const { width, height } = drawing
  const data = pixels(drawing)
  const rows = Buffer.alloc(height * (1 + width * 4))
  for (let y = 0; y < height; y += 1) data.copy(rows, y * (1 + width * 4) + 1, y * width * 4, (y + 1) * width * 4)
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 6, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([
    ...[signature, pngChunk('IHDR', head), ...chunksBefore],
    ...[pngChunk('IDAT', deflateSync(rows)), pngChunk('IEND', Buffer.alloc(0))],
  ])
}

export function pngChunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), content])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(content.length, 0)
  frame.writeUInt32BE(crc32(named), 4)
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)])
}

/** 8 × 8, one red and one blue half, not compressed in fact: every code is preceded by a clear (GIF89a). */
export function gif(): Buffer {
  const size = 8
  const head = Buffer.from([...Buffer.from('GIF89a'), size, 0, size, 0, 0x80, 0, 0, ...RED, ...BLUE])
  const image = [0x2c, 0, 0, 0, 0, size, 0, size, 0, 0, 2]
  // Codes of 3 bits: clear (4), then one pixel each, so that the code size never grows.
  const codes = Array.from({ length: size * size }, (_, i) => [4, i < (size * size) / 2 ? 0 : 1]).flat()
  const bits = [...codes, 5].flatMap((code) => [code & 1, (code >> 1) & 1, (code >> 2) & 1])
  const bytes = Array.from({ length: Math.ceil(bits.length / 8) }, (_, at) =>
    bits.slice(at * 8, at * 8 + 8).reduce((byte, bit, place) => byte | (bit << place), 0),
  )
  return Buffer.concat([head, Buffer.from([...image, bytes.length, ...bytes, 0, 0x3b])])
}

export interface Exif {
  orientation?: number
  DateTimeOriginal?: string
  OffsetTimeOriginal?: string
  SubSecTimeOriginal?: string
  /** Degrees, of which nothing may come out of the parser. */
  latitude?: number
  order?: 'II' | 'MM'
}

/** A TIFF header with IFD0, the Exif IFD and the GPS IFD. */
export function tiffOf({ orientation, order = 'II', latitude, ...texts }: Exif): Buffer {
  const [u16, u32] = order === 'II' ? (['LE', 'LE'] as const) : (['BE', 'BE'] as const)
  const int = (bytes: 2 | 4, value: number) => {
    const buffer = Buffer.alloc(bytes)
    if (bytes === 2) buffer[`writeUInt16${u16}`](value)
    else buffer[`writeUInt32${u32}`](value)
    return buffer
  }
  const entry = (tag: number, type: number, count: number, value: Buffer) =>
    Buffer.concat([int(2, tag), int(2, type), int(4, count), Buffer.concat([value, Buffer.alloc(4)]).subarray(0, 4)])
  const ifd = (entries: Buffer[]) => Buffer.concat([int(2, entries.length), ...entries, int(4, 0)])

  const TAGS = { DateTimeOriginal: 0x9003, OffsetTimeOriginal: 0x9011, SubSecTimeOriginal: 0x9291 }
  const given = Object.entries(TAGS).flatMap(([name, tag]) => {
    const text = texts[name as keyof typeof TAGS]
    return text === undefined ? [] : [{ tag, bytes: Buffer.from(`${text}\0`, 'latin1') }]
  })
  const main = (orientation === undefined ? 0 : 1) + 1 + (latitude === undefined ? 0 : 1)
  const exifAt = 8 + 2 + main * 12 + 4
  const gpsAt = exifAt + 2 + given.length * 12 + 4
  let at = gpsAt + (latitude === undefined ? 0 : 2 + 24 + 4)
  const exif = given.map(({ tag, bytes }) => {
    const made = entry(tag, 2, bytes.length, bytes.length > 4 ? int(4, at) : bytes)
    if (bytes.length > 4) at += bytes.length
    return made
  })
  const gps = latitude === undefined ? [] : [entry(1, 2, 2, Buffer.from('N\0')), entry(2, 5, 3, int(4, at))]
  const ifd0 = [
    ...(orientation === undefined ? [] : [entry(0x0112, 3, 1, int(2, orientation))]),
    entry(0x8769, 4, 1, int(4, exifAt)),
    ...(latitude === undefined ? [] : [entry(0x8825, 4, 1, int(4, gpsAt))]),
  ]
  return Buffer.concat([
    ...[Buffer.from(order, 'latin1'), int(2, 42), int(4, 8), ifd(ifd0), ifd(exif)],
    ...(latitude === undefined ? [] : [ifd(gps)]),
    ...given.filter(({ bytes }) => bytes.length > 4).map(({ bytes }) => bytes),
    ...(latitude === undefined ? [] : [latitude, 1, 0, 1, 0, 1].map((value) => int(4, value))),
  ])
}

/** A JPEG with an Exif segment. */
export function withExif(image: Buffer, exif: Exif): Buffer {
  const content = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiffOf(exif)])
  const head = Buffer.from([0xff, 0xe1, 0, 0])
  head.writeUInt16BE(content.length + 2, 2)
  return Buffer.concat([image.subarray(0, 2), head, content, image.subarray(2)])
}
