/** Uploads blobs: a short one in one request, a long one in parts. An object is visible only when it is complete. */
import { setMaxListeners } from 'node:events'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { Connection } from './connection.ts'
import { StoreError } from './errors.ts'
import { inParts, partMemory } from './parts.ts'
import { semaphore } from './semaphore.ts'

/** The maximum of parts that this process sends at a time, for all blobs. So the memory does not grow with the uploads. */
const PARTS_AT_ONCE = 4
/** The maximum of free parts that stay allocated: as many as are usually being filled and sent. */
const PARTS_KEPT = 8

type Multipart = Awaited<ReturnType<ReturnType<typeof objectWriter>['begin']>>

/** `abandon` takes the key of an upload that could not be aborted. */
export function objectWriter(store: Connection, abandon: (Key: string) => void) {
  const Bucket = store.bucket
  const permits = semaphore(PARTS_AT_ONCE)
  const memory = partMemory(PARTS_KEPT)

  return { write, begin, lengthOf }

  /** If the batches throw, the upload is aborted and the same error is thrown. */
  async function write(Key: string, batches: AsyncIterable<Uint8Array[]>, signal?: AbortSignal): Promise<void> {
    let multipart: Multipart | null = null
    try {
      for await (const { bytes, last } of inParts(batches, memory)) {
        if (last && !multipart) return await writeWhole(Key, bytes, signal)
        multipart ??= await begin(Key, signal)
        await multipart.send(bytes)
      }
      await multipart?.complete()
    } catch (error) {
      await multipart?.abort()
      throw error
    }
  }

  async function writeWhole(Key: string, Body: Buffer, signal?: AbortSignal): Promise<void> {
    try {
      const command = new PutObjectCommand({ Bucket, Key, Body, ContentLength: Body.length, IfNoneMatch: '*' })
      await store.send(command, signal)
    } catch (fault) {
      await unlessDone(Key, Body.length, fault as StoreError)
    }
    memory.release(Body)
  }

  /** Checks that the key is free. The upload has IfNoneMatch, too, but some stores ignore it. */
  async function begin(Key: string, signal?: AbortSignal) {
    if ((await lengthOf(Key)) !== null) throw new Error(`blob ${Key} already exists`)
    const { UploadId } = await store.ask(new CreateMultipartUploadCommand({ Bucket, Key })).catch((fault) => {
      // The upload may have been created although its response, with its id, was lost.
      abandon(Key)
      throw fault
    })
    const parts: { PartNumber: number; ETag: string | undefined }[] = []
    const sending = new Set<Promise<void>>()
    const stop = new AbortController()
    signal?.addEventListener('abort', () => stop.abort(), { once: true })
    // Each part that is being sent adds a listener.
    setMaxListeners(0, stop.signal)
    let fault: unknown = null
    let totalBytes = 0

    return {
      /** Waits for a permit and starts to send the part. The buffer must not change until it is sent. */
      async send(Body: Buffer): Promise<void> {
        await permits.acquire()
        const part = { PartNumber: parts.length + 1, ETag: undefined as string | undefined }
        parts.push(part)
        totalBytes += Body.length
        const sent = sendPart(part, Body).finally(() => {
          permits.release()
          sending.delete(sent)
        })
        sending.add(sent)
        if (fault) throw fault
      },

      async complete(): Promise<void> {
        await Promise.all(sending)
        if (fault) throw fault
        const done = { Bucket, Key, UploadId, MultipartUpload: { Parts: parts }, IfNoneMatch: '*' }
        await store
          .send(new CompleteMultipartUploadCommand(done), stop.signal)
          .catch((answer) => unlessDone(Key, totalBytes, answer))
      },

      async abort(): Promise<void> {
        stop.abort()
        await Promise.all(sending)
        await store.ask(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => abandon(Key))
      },
    }

    /** Never rejects. The first error is thrown by the next `send` or by `complete`. */
    async function sendPart(part: (typeof parts)[number], Body: Buffer): Promise<void> {
      try {
        const { PartNumber } = part
        const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ContentLength: Body.length })
        part.ETag = (await store.send(command, stop.signal)).ETag
        // Only after success: after an error the SDK may still be sending the buffer.
        memory.release(Body)
      } catch (error) {
        fault ??= error
      }
    }
  }

  /** A retried request is refused if its first try succeeded and only the response was lost. Then it counts as done. */
  async function unlessDone(Key: string, bytes: number, fault: StoreError): Promise<void> {
    if (fault.retried && (fault.status === 412 || fault.status === 404) && (await lengthOf(Key)) === bytes) return
    throw fault
  }

  async function lengthOf(Key: string): Promise<number | null> {
    try {
      return (await store.ask(new HeadObjectCommand({ Bucket, Key }))).ContentLength ?? 0
    } catch (error) {
      if (error instanceof StoreError && error.isAbsence) return null
      throw error
    }
  }
}
