/** The yardstick's bytes: hashed, written about 1 MiB at a time and synced; read 1 MiB at a time into reused buffers. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const MiB = 1024 * 1024

const open = promisify(fs.open)
const fdatasync = promisify(fs.fdatasync)
const fsync = promisify(fs.fsync)
export const unlink = promisify(fs.unlink)

/** Durable once resolved, its entry in the folder included; where the body breaks off, nothing is left. */
export async function receive(request: IncomingMessage, path: string, syncFolder: () => Promise<void>) {
  const fd = await open(path, 'wx', 0o600)
  try {
    const received = await writeBody(request, fd)
    await fdatasync(fd)
    await syncFolder()
    return received
  } catch (error) {
    await unlink(path)
    throw error
  } finally {
    fs.close(fd, () => {})
  }
}

function writeBody(request: IncomingMessage, fd: number): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256')
  let size = 0
  let batch: Buffer[] = []
  let batchBytes = 0
  let writing = false
  let ended = false

  return new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      size += chunk.length
      batch.push(chunk)
      batchBytes += chunk.length
      if (batchBytes < MiB) return
      if (writing) request.pause()
      else writeBatch()
    })
    request.on('end', () => {
      ended = true
      if (!writing) writeBatch()
    })
    request.on('close', () => ended || reject(new Error('the body broke off')))
    request.on('error', reject)

    function writeBatch() {
      if (batch.length === 0) return resolve({ size, sha256: hash.digest('hex') })
      const full = batch
      const fullBytes = batchBytes
      batch = []
      batchBytes = 0
      writing = true
      fs.writev(fd, full, (error, written) => {
        writing = false
        if (error || written < fullBytes) return reject(error ?? new Error('the disk is full'))
        if (ended || batchBytes >= MiB) writeBatch()
        request.resume()
      })
    }
  })
}

/** Sends the whole file under the headers. */
export async function sendFile(response: ServerResponse, path: string, size: number, headers: string[]) {
  const fd = await open(path, 'r')
  try {
    const first = Buffer.allocUnsafe(Math.min(size, MiB))
    await read(fd, first, 0)
    response.writeHead(200, headers)
    if (size <= MiB) return void response.end(first)

    let filled = first
    let free = Buffer.allocUnsafe(MiB)
    for (let at = first.length; filled.length > 0; ) {
      const next = free.subarray(0, Math.min(free.length, size - at))
      await both(write(response, filled), read(fd, next, at))
      at += next.length
      free = filled
      filled = next
    }
    response.end()
  } finally {
    fs.close(fd, () => {})
  }
}

/** Also where one fails, the other has ended before this settles: the file is still open, the buffers still theirs. */
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

/** Resolved once the system has taken the bytes, so that their buffer may be filled again. */
function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

/** One sync of the file's folder for all who wait at the same time; who comes while one is in flight joins the next. */
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
