/** A film in WebM (Matroska, RFC 9559) from key frames of VP8: a lossy WebP picture holds one. */
import type { Page } from 'playwright-core'

interface FilmOptions {
  /** Each is a WebP picture without transparency, all of one size. */
  pictures: Buffer[]
  width: number
  height: number
  /** How long each picture is shown. */
  stepMs: number
  /** Bytes of padding after each picture, so that a browser does not load all of it at once. */
  paddingBytes?: number
}

function webm({ pictures, width, height, stepMs, paddingBytes = 0 }: FilmOptions): Buffer {
  const head = element(0x1a45dfa3, [
    element(0x4286, number(1)),
    element(0x42f7, number(1)),
    element(0x42f2, number(4)),
    element(0x42f3, number(8)),
    element(0x4282, Buffer.from('webm')),
    element(0x4287, number(4)),
    element(0x4285, number(2)),
  ])
  const info = element(0x1549a966, [
    element(0x2ad7b1, number(1_000_000)),
    element(0x4489, double(pictures.length * stepMs)),
    element(0x4d80, Buffer.from('test')),
    element(0x5741, Buffer.from('test')),
  ])
  const tracks = element(0x1654ae6b, [
    element(0xae, [
      element(0xd7, number(1)),
      element(0x73c5, number(1)),
      element(0x9c, number(0)),
      element(0x83, number(1)),
      element(0x86, Buffer.from('V_VP8')),
      element(0xe0, [element(0xb0, number(width)), element(0xba, number(height))]),
    ]),
  ])
  const clusters = pictures.map((picture, index) => clusterOf(vp8In(picture), index * stepMs, paddingBytes))
  // The index stands before the clusters; its numbers have a fixed length, so its own length is known.
  const before = info.length + tracks.length + cuesOf(clusters, stepMs, 0).length
  const segment = Buffer.concat([info, tracks, cuesOf(clusters, stepMs, before), ...clusters])
  return Buffer.concat([head, element(0x18538067, segment)])
}

/** A film that shows each colour for a while. The browser of the page draws the pictures. */
export async function filmIn(
  page: Page,
  { colors, ...options }: Omit<FilmOptions, 'pictures'> & { colors: string[] },
): Promise<Buffer> {
  const { width, height } = options
  const drawn = await page.evaluate(
    ({ colors, width, height }) => {
      const canvas = Object.assign(document.createElement('canvas'), { width, height })
      const context = canvas.getContext('2d', { alpha: false })
      return colors.map((color) => {
        if (!context) throw new Error('no canvas')
        context.fillStyle = color
        context.fillRect(0, 0, width, height)
        return canvas.toDataURL('image/webp', 0.8).split(',')[1] ?? ''
      })
    },
    { colors, width, height },
  )
  return webm({ ...options, pictures: drawn.map((base64) => Buffer.from(base64, 'base64')) })
}

function cuesOf(clusters: Buffer[], stepMs: number, from: number): Buffer {
  let at = from
  const points = clusters.map((cluster, index) => {
    const position = element(0xb7, [element(0xf7, number(1)), element(0xf1, number(at))])
    at += cluster.length
    return element(0xbb, [element(0xb3, number(index * stepMs)), position])
  })
  return element(0x1c53bb6b, points)
}

function clusterOf(frame: Buffer, atMs: number, paddingBytes: number): Buffer {
  // Track 1, at the cluster's time, a key frame.
  const block = Buffer.concat([Buffer.from([0x81, 0, 0, 0x80]), frame])
  const padding = paddingBytes > 0 ? [element(0xec, Buffer.alloc(paddingBytes))] : []
  return element(0x1f43b675, [element(0xe7, number(atMs)), element(0xa3, block), ...padding])
}

/** The chunk `VP8 ` of a RIFF file. */
function vp8In(webp: Buffer): Buffer {
  for (let at = 12; at + 8 <= webp.length; ) {
    const bytes = webp.readUInt32LE(at + 4)
    if (webp.toString('latin1', at, at + 4) === 'VP8 ') return webp.subarray(at + 8, at + 8 + bytes)
    at += 8 + bytes + (bytes % 2)
  }
  throw new Error('the picture is no lossy WebP')
}

function element(id: number, content: Buffer | Buffer[]): Buffer {
  const bytes = Array.isArray(content) ? Buffer.concat(content) : content
  const size = Buffer.alloc(8)
  size.writeBigUInt64BE(BigInt(bytes.length) | (1n << 56n))
  return Buffer.concat([Buffer.from(id.toString(16), 'hex'), size, bytes])
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes
}
