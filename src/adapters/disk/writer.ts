import { closeSync, fdatasync, writev } from 'node:fs'

/** Up to this size, a file is created only once all its bytes are here. */
const SMALL_BYTES = 64 * 1024
/** A limit of chunks, because each chunk may keep a much larger buffer in memory. */
const SMALL_CHUNKS = 64

/**
 * Creates a file from the batches. Its bytes are durable once the promise resolves. One batch is written while the next one is
 * read. A small file is created only when all its bytes are read. The promise settles after the file is closed.
 */
export async function writeNew(create: () => Promise<number>, batches: AsyncIterable<Uint8Array[]>): Promise<void> {
  let fd: number | null = null
  let chunks: Uint8Array[] = []
  let writing: Promise<void> = Promise.resolve()
  try {
    try {
      for await (const batch of batches) {
        chunks = chunks.length === 0 ? batch : chunks.concat(batch)
        if (fd === null && isSmall(chunks)) continue
        fd ??= await create()
        await writing
        writing = writeAll(fd, chunks)
        // Awaited with the next batch. Until then its failure must not be an unhandled rejection.
        writing.catch(() => {})
        chunks = []
      }
    } finally {
      await writing
    }
    fd ??= await create()
    // In another thread, although that costs more for a few bytes: on a disk that hangs, all requests would wait for it.
    await writeAll(fd, chunks)
    await sync(fd)
  } finally {
    if (fd !== null) closeSync(fd)
  }
}

function isSmall(chunks: Uint8Array[]): boolean {
  return chunks.length <= SMALL_CHUNKS && chunks.reduce((sum, { length }) => sum + length, 0) <= SMALL_BYTES
}

async function writeAll(fd: number, chunks: Uint8Array[]): Promise<void> {
  for (let rest = chunks; rest.length > 0; ) {
    const now = rest
    const written = await new Promise<number>((resolve, reject) => {
      writev(fd, now, (error, bytesWritten) => (error ? reject(error) : resolve(bytesWritten)))
    })
    rest = dropBytes(rest, written)
  }
}

function sync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())))
}

/** The bytes after the first `count`. A write may be partial, for example on a disk that is nearly full. */
function dropBytes(chunks: Uint8Array[], count: number): Uint8Array[] {
  let dropped = 0
  for (const [index, chunk] of chunks.entries()) {
    if (dropped + chunk.length > count) return [chunk.subarray(count - dropped), ...chunks.slice(index + 1)]
    dropped += chunk.length
  }
  return []
}
