/** A body that a route reads as a stream, and how a plugin stops that. */
import type { IncomingMessage } from 'node:http'

interface Reading {
  /** With this the next bytes are refused. */
  stoppedBy: Error | null
  /** All bytes were handed out, so the request is carried out, whatever happens from now on. */
  done: boolean
  /** Rejects the bytes that are waited for. */
  reject(error: Error): void
}

const readings = new WeakMap<IncomingMessage, Reading>()

/** The bytes of the body. Whatever ends the reading early, the connection stays open, since it has to carry the refusal. */
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

  /** In effect after the bytes that are waited for: then what still comes can be drained. */
  function release() {
    chunks.return?.().catch(() => {})
  }
}

/**
 * Makes the reader of the body throw this error. Answers false where the body is not read as a stream: then nobody throws it.
 * Where the whole body was read already, nothing is stopped: the response has to say that the request was carried out.
 */
export function stopReading(raw: IncomingMessage, error: Error): boolean {
  const reading = readings.get(raw)
  if (!reading) return false
  if (reading.done || reading.stoppedBy) return true
  reading.stoppedBy = error
  reading.reject(error)
  return true
}
