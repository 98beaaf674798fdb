/** Draws small landscapes, as JPEGs with the date of a camera. */
import jpeg from 'jpeg-js'

const QUALITY = 75
const START_OF_IMAGE = 2

export interface Picture {
  jpeg: Buffer
  thumbnail: Buffer
}

/** The same number always gives the same picture. `takenAt` is RFC 3339 with an offset. */
export function picture(number: number, takenAt: string): Picture {
  const full = drawn(number, 320, 240)
  return { jpeg: withDate(full, takenAt), thumbnail: drawn(number, 100, 75) }
}

function drawn(number: number, width: number, height: number): Buffer {
  const random = numbers(number)
  const hue = random()
  const sky = [hsl(hue, 0.5, 0.45), hsl(hue + 0.08, 0.7, 0.85)] as const
  const sun = { x: random(), y: 0.15 + random() * 0.3, radius: 0.04 + random() * 0.06 }
  const hills = [0.45, 0.6, 0.75].map((top, i) => {
    const phase = random() * 9
    return {
      color: hsl(hue + 0.3 + i * 0.03, 0.35, 0.5 - i * 0.13),
      tops: Float64Array.from({ length: width }, (_, column) => (top + wave(column / width, phase)) * height),
    }
  })
  const data = Buffer.alloc(width * height * 4, 255)
  const paint = (column: number, row: number, color: Color) => {
    const at = (row * width + column) * 4
    data[at] = color[0]
    data[at + 1] = color[1]
    data[at + 2] = color[2]
  }
  for (let row = 0; row < height; row += 1) {
    const air = mixed(sky[0], sky[1], row / height / 0.6)
    for (let column = 0; column < width; column += 1) {
      const isSun = Math.hypot(column - sun.x * width, row - sun.y * height) < sun.radius * width
      let color: Color = isSun ? SUN : air
      for (const hill of hills) if (row > (hill.tops[column] ?? 0)) color = hill.color
      paint(column, row, color)
    }
  }
  return jpeg.encode({ data, width, height }, QUALITY).data
}

type Color = readonly [number, number, number]

const SUN: Color = [255, 244, 214]

const wave = (x: number, phase: number) => 0.06 * Math.sin(x * 5 + phase) + 0.03 * Math.sin(x * 13 + phase * 2)

function mixed(from: Color, to: Color, share: number): Color {
  const at = Math.min(1, share)
  return from.map((value, i) => value + ((to[i] ?? 0) - value) * at) as unknown as Color
}

function hsl(hue: number, saturation: number, lightness: number): Color {
  const part = (n: number) => {
    const k = (n + (hue % 1) * 12) % 12
    const share = saturation * Math.min(lightness, 1 - lightness)
    return 255 * (lightness - share * Math.max(-1, Math.min(k - 3, 9 - k, 1)))
  }
  return [part(0), part(8), part(4)]
}

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Adds an Exif segment (CIPA DC-008) with DateTimeOriginal and OffsetTimeOriginal. */
function withDate(image: Buffer, takenAt: string): Buffer {
  const [, date = '', time = '', offset = ''] =
    /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2}).*?([+-]\d{2}:\d{2})$/.exec(takenAt) ?? []
  const texts = [`${date.replaceAll('-', ':')} ${time}\0`, `${offset}\0`] as const
  // Offsets are from the start of the TIFF header: IFD0 with one entry, the Exif IFD with two, then the texts.
  const [exifAt, textsAt] = [8 + ifdBytes(1), 8 + ifdBytes(1) + ifdBytes(2)]
  const tiff = Buffer.concat([
    Buffer.from('II*\0', 'latin1'),
    int32(8),
    ifd([{ tag: 0x8769, type: 4, count: 1, value: exifAt }]),
    ifd([
      { tag: 0x9003, type: 2, count: texts[0].length, value: textsAt },
      { tag: 0x9011, type: 2, count: texts[1].length, value: textsAt + texts[0].length },
    ]),
    Buffer.from(texts.join(''), 'latin1'),
  ])
  const content = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff])
  const head = Buffer.from([0xff, 0xe1, 0, 0])
  head.writeUInt16BE(content.length + 2, 2)
  return Buffer.concat([image.subarray(0, START_OF_IMAGE), head, content, image.subarray(START_OF_IMAGE)])
}

const ifdBytes = (entries: number) => 2 + entries * 12 + 4

function ifd(entries: { tag: number; type: number; count: number; value: number }[]): Buffer {
  const bytes = Buffer.alloc(ifdBytes(entries.length))
  bytes.writeUInt16LE(entries.length, 0)
  for (const [i, { tag, type, count, value }] of entries.entries()) {
    const at = 2 + i * 12
    bytes.writeUInt16LE(tag, at)
    bytes.writeUInt16LE(type, at + 2)
    bytes.writeUInt32LE(count, at + 4)
    bytes.writeUInt32LE(value, at + 8)
  }
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
