/** The date of an MP4 or MOV (ISO/IEC 14496-12). */
import { inOwnZone } from './taken-at.ts'

const MAX_BOXES = 64
/** From 1904 to 1970. */
const EPOCH_SECONDS = 2_082_844_800

/** The creation time in `moov/mvhd`, in the browser's zone; `null` if there is none. It reads only the heads of boxes. */
export async function madeAtOf(file: Blob): Promise<string | null> {
  const moov = await find(file, 'moov', 0, file.size)
  const mvhd = moov && (await find(file, 'mvhd', moov.from, moov.to))
  if (!mvhd) return null
  const fields = await viewOf(file, mvhd.from, 12)
  const seconds = fields.getUint8(0) === 1 ? Number(fields.getBigUint64(4)) : fields.getUint32(4)
  return seconds === 0 ? null : inOwnZone(new Date((seconds - EPOCH_SECONDS) * 1000))
}

async function find(file: Blob, wanted: string, from: number, to: number) {
  for (let at = from, count = 0; at + 16 <= to && count < MAX_BOXES; count += 1) {
    const head = await viewOf(file, at, 16)
    const type = String.fromCharCode(...new Uint8Array(head.buffer, 4, 4))
    const short = head.getUint32(0)
    // 1: the length has 64 bits; 0: up to the end.
    const bytes = short === 1 ? Number(head.getBigUint64(8)) : short === 0 ? to - at : short
    if (bytes < 8) return null
    if (type === wanted) return { from: at + (short === 1 ? 16 : 8), to: Math.min(to, at + bytes) }
    at += bytes
  }
  return null
}

const viewOf = async (file: Blob, at: number, bytes: number) =>
  new DataView(await file.slice(at, at + bytes).arrayBuffer())
