/**
 * The files of the bare server. Bytes are received and written 1 MiB at a time, then synced. They are read 1 MiB at a time into
 * reused buffers. An intake and an outlet transform the bytes, for example by sealing.
 */
import fs from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

/** The number of bytes that are received, or sent, at a time. */
export const BATCH_BYTES = 1024 * 1024

const open = promisify(fs.open)
const fdatasync = promisify(fs.fdatasync)
const fsync = promisify(fs.fsync)
export const unlink = promisify(fs.unlink)

export interface Intake {
  /** The bytes to write for the next `BATCH_BYTES`; with `last` for the rest, which may be empty. */
  store(chunks: Buffer[], bytes: number, last: boolean): Buffer[]
}

export interface Outlet {
  blobBytes: number
  /** The size of the header, which is read together with the first batch. */
  headerBytes: number
  /** The number of bytes that are read at a time. */
  batchBytes: number
  /** The bytes to send for the next bytes of the blob. */
  open(bytes: Buffer): Buffer[]
}

/** Passes bytes on unchanged. */
export const copying: Intake = { store: (chunks) => chunks }
export const uncopied = (size: number): Outlet => ({
  blobBytes: size,
  headerBytes: 0,
  batchBytes: BATCH_BYTES,
  open: (bytes) => [bytes],
})

/** Returns the number of received bytes. The file and its folder entry are durable once resolved. If the body breaks off, no file is left. */
export async function receive(
  request: IncomingMessage,
  path: string,
  intake: Intake,
  syncFolder: () => Promise<void>,
): Promise<number> {
  const fd = await open(path, 'wx', 0o600)
  try {
    const size = await writeBody(request, fd, intake)
    await fdatasync(fd)
    await syncFolder()
    return size
  } catch (error) {
    await unlink(path)
    throw error
  } finally {
    fs.close(fd, () => {})
  }
}

/** A batch is stored only when further bytes have arrived, so that the last batch is known to be the last. */
function writeBody(request: IncomingMessage, fd: number, intake: Intake): Promise<number> {
  let size = 0
  let gathered: Buffer[] = []
  let gatheredBytes = 0
  let writing = false
  let next: Buffer[] | null = null
  let ended = false

  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      gathered.push(chunk)
      gatheredBytes += chunk.length
      if (gatheredBytes > BATCH_BYTES) write(intake.store(takeBatch(chunk), BATCH_BYTES, false))
    })
    request.on('end', () => {
      ended = true
      write(intake.store(gathered, gatheredBytes, true))
    })
    request.on('close', () => ended || reject(new Error('the body broke off')))
    request.on('error', reject)

    /** Keeps the bytes of the last chunk that are beyond the batch. */
    function takeBatch(chunk: Buffer): Buffer[] {
      const batch = gathered
      const cut = chunk.length - (gatheredBytes - BATCH_BYTES)
      gathered = [chunk.subarray(cut)]
      gatheredBytes -= BATCH_BYTES
      batch[batch.length - 1] = chunk.subarray(0, cut)
      return batch
    }

    function write(batch: Buffer[]) {
      if (writing) {
        next = batch
        request.pause()
        return
      }
      writing = true
      const bytes = batch.reduce((sum, { length }) => sum + length, 0)
      fs.writev(fd, batch, (error, written) => {
        writing = false
        if (error || written < bytes) return reject(error ?? new Error('the disk is full'))
        if (!next) return ended && resolve(size)
        const waiting = next
        next = null
        write(waiting)
        request.resume()
      })
    }
  })
}

/** Sends the whole file under the headers. */
export async function sendFile(response: ServerResponse, path: string, outlet: Outlet, headers: string[]) {
  const { blobBytes, headerBytes, batchBytes } = outlet
  const fd = await open(path, 'r')
  try {
    let filled = Buffer.allocUnsafe(Math.min(blobBytes, headerBytes + batchBytes))
    await read(fd, filled, 0)
    const first = outlet.open(filled)
    response.writeHead(200, headers)
    if (filled.length === blobBytes) return end(response, first)

    let free = Buffer.allocUnsafe(batchBytes)
    let opened = first
    for (let at = filled.length; ; ) {
      const next = free.subarray(0, Math.min(batchBytes, blobBytes - at))
      await both(write(response, opened), read(fd, next, at))
      if (next.length === 0) break
      at += next.length
      opened = outlet.open(next)
      free = filled
      filled = next
    }
    response.end()
  } finally {
    fs.close(fd, () => {})
  }
}

/** Settles only after both have ended, even if one fails: both use the open file and the buffers. */
async function both(one: Promise<void>, other: Promise<void>): Promise<void> {
  await Promise.allSettled([one, other])
  await one
  await other
}

function read(fd: number, buffer: Buffer, at: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, 0, buffer.length, at, (error, bytesRead) => {
      if (error || bytesRead < buffer.length) reject(error ?? new Error('the file is too short'))
      else resolve()
    })
  })
}

/** Resolves once the system has accepted the pieces, so that their memory can be reused. */
function write(response: ServerResponse, pieces: Buffer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const last = pieces.pop() as Buffer
    response.cork()
    for (const piece of pieces) response.write(piece)
    response.write(last, (error) => (error ? reject(error) : resolve()))
    response.uncork()
  })
}

function end(response: ServerResponse, pieces: Buffer[]): void {
  const last = pieces.pop()
  for (const piece of pieces) response.write(piece)
  response.end(last)
}

/** Shares one sync of the folder between concurrent calls. A call during a running sync joins the next one. */
export function sharedFolderSync(path: string): () => Promise<void> {
  const folder = fs.openSync(dirname(path), 'r')
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null

  function start(): Promise<void> {
    next = null
    const round = fsync(folder).finally(() => {
      if (running === round) running = null
    })
    running = round
    return round
  }

  return () => {
    if (!running) return start()
    next ??= running.then(start, start)
    return next
  }
}
