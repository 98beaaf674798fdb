/** Reads the body of a request for a route, and lets a plugin stop the reading with an error. */
import type { IncomingMessage } from 'node:http'

interface Reading {
  /** The error that the next read throws. */
  stoppedBy: Error | null
  /** The route has all bytes, so the request will be executed. */
  done: boolean
  /** Rejects the read that waits for bytes. */
  reject(error: Error): void
}

const readings = new WeakMap<IncomingMessage, Reading>()

/** The bytes of the body. If the reading ends early, the connection stays open, because the refusal must be sent on it. */
export function readBody(raw: IncomingMessage): AsyncIterable<Buffer> & AsyncIterator<Buffer> {
  const chunks: AsyncIterator<Buffer> = raw.iterator({ destroyOnReturn: false })
  const reading: Reading = { stoppedBy: null, done: false, reject: () => {} }
  readings.set(raw, reading)
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    next() {
      return new Promise((resolve, reject) => {
        if (reading.stoppedBy) return reject(reading.stoppedBy)
        reading.reject = (error) => {
          reject(error)
          release()
        }
        chunks.next().then((result) => {
          reading.done ||= result.done === true && !reading.stoppedBy
          resolve(result)
        }, reject)
      })
    },
    async return() {
      await chunks.return?.()
      return { done: true, value: undefined }
    },
  }

  /** Takes effect after the running read. Then the rest of the body can be drained. */
  function release() {
    chunks.return?.().catch(() => {})
  }
}

/**
 * Makes the reader of the body throw this error. Returns false if no route reads the body as a stream, so nothing throws it. If the
 * whole body was read already, nothing is stopped, because the response must say that the request was executed.
 */
export function stopReading(raw: IncomingMessage, error: Error): boolean {
  const reading = readings.get(raw)
  if (!reading) return false
  if (reading.done || reading.stoppedBy) return true
  reading.stoppedBy = error
  reading.reject(error)
  return true
}
