/** Opens, shrinks and encodes a picture beside the page, so that the page stays smooth. */
import { encode, fitted, type Size } from './encoding.ts'

export interface Job {
  file: Blob
  /** Of the picture, the right way up. */
  size: Size
}

addEventListener('message', ({ data }: MessageEvent<Job>) => {
  void thumbnailOf(data)
    .catch(() => null)
    .then((blob) => postMessage(blob))
})

async function thumbnailOf({ file, size }: Job): Promise<Blob | null> {
  const { width, height } = fitted(size)
  const options = { resizeWidth: width, resizeHeight: height, resizeQuality: 'high', imageOrientation: 'from-image' }
  const bitmap = await createImageBitmap(file, options as ImageBitmapOptions)
  try {
    return await encode(bitmap, size, (of) => new OffscreenCanvas(of.width, of.height))
  } finally {
    bitmap.close()
  }
}
