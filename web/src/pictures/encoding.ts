/** Draws and encodes a thumbnail, on the page or in a worker. */

export const LONGEST_SIDE = 512
const MOST_BYTES = 40 * 1024
const QUALITIES = [0.8, 0.65, 0.5, 0.35]

export type Drawable = ImageBitmap | HTMLImageElement | HTMLVideoElement
type Canvas = OffscreenCanvas | HTMLCanvasElement

export interface Size {
  width: number
  height: number
}

/** Scaled down to the longest side; a small picture keeps its size. */
export function fitted({ width, height }: Size, longest = LONGEST_SIDE): Size {
  const scale = Math.min(1, longest / Math.max(width, height))
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) }
}

/** At most about 40 KB: with less quality, and then in a smaller size. `null` if the browser cannot. */
export async function encode(picture: Drawable, size: Size, newCanvas: (size: Size) => Canvas): Promise<Blob | null> {
  for (const longest of [LONGEST_SIDE, 360, 256]) {
    const canvas = drawn(picture, fitted(size, longest), newCanvas)
    for (const quality of QUALITIES) {
      const blob = await encoded(canvas, quality)
      if (blob && (blob.size <= MOST_BYTES || longest === 256)) return blob
    }
  }
  return null
}

function drawn(picture: Drawable, size: Size, newCanvas: (size: Size) => Canvas): Canvas {
  const canvas = newCanvas(size)
  const context = canvas.getContext('2d') as CanvasRenderingContext2D | null
  if (context === null) throw new Error('There is no canvas.')
  context.imageSmoothingQuality = 'high'
  context.drawImage(picture, 0, 0, size.width, size.height)
  return canvas
}

/** WebP keeps what is transparent. A browser that does not write WebP answers with PNG: it writes a JPEG, on white. */
async function encoded(canvas: Canvas, quality: number): Promise<Blob | null> {
  const webp = await blobOf(canvas, 'image/webp', quality)
  if (webp?.type === 'image/webp') return webp
  const context = canvas.getContext('2d') as CanvasRenderingContext2D
  context.globalCompositeOperation = 'destination-over'
  context.fillStyle = '#fff'
  context.fillRect(0, 0, canvas.width, canvas.height)
  return blobOf(canvas, 'image/jpeg', quality)
}

function blobOf(canvas: Canvas, type: string, quality: number): Promise<Blob | null> {
  return 'convertToBlob' in canvas
    ? canvas.convertToBlob({ type, quality })
    : new Promise((resolve) => canvas.toBlob(resolve, type, quality))
}
