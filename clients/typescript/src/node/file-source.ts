import { open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Source } from '../sources.ts'

/** A file by its path, to be uploaded. It is opened for each read, so nothing has to be closed. */
export async function fileSource(path: string): Promise<Source & { modifiedAt: Date }> {
  const { size, mtime } = await stat(path)
  return {
    size,
    name: basename(path),
    modifiedAt: mtime,
    async slice(from, to) {
      const file = await open(path)
      try {
        const buffer = Buffer.allocUnsafe(to - from)
        let got = 0
        while (got < buffer.length) {
          const { bytesRead } = await file.read(buffer, got, buffer.length - got, from + got)
          if (bytesRead === 0) break
          got += bytesRead
        }
        return buffer.subarray(0, got)
      } finally {
        await file.close()
      }
    },
  }
}
