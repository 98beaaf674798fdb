/** Blobs on their way up: one request for a short one, parts for a long one; in sight only once they are whole. */
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
import { StoreFault } from './faults.ts'
import { inParts, partMemory } from './parts.ts'
import { turns } from './turns.ts'

/** Parts that this process sends at a time, of whatever blobs: what they take of memory does not grow with the uploads. */
const PARTS_AT_ONCE = 4
/** As many are being gathered where uploads are many; idle, they are all that is left of it. */
const PARTS_KEPT = 8
const LOOK_MS = 100

type Multipart = Awaited<ReturnType<ReturnType<typeof objectWriter>['begin']>>

/** `check` throws while the store cannot be reached. `abandon` takes the key of an upload that could not be aborted. */
export function objectWriter(store: Connection, check: () => Promise<void>, abandon: (Key: string) => void) {
  const Bucket = store.bucket
  const turn = turns(PARTS_AT_ONCE)
  const memory = partMemory(PARTS_KEPT)

  return { write, begin, lengthOf }

  /** Where the batches throw, nothing is left and the same error is thrown on. */
  async function write(Key: string, batches: AsyncIterable<Uint8Array[]>): Promise<void> {
    let multipart: Multipart | null = null
    try {
      for await (const { bytes, last } of inParts(batches, memory)) {
        if (last && !multipart) return await writeWhole(Key, bytes)
        multipart ??= await begin(Key)
        await multipart.send(bytes)
      }
      await multipart?.complete()
    } catch (error) {
      await multipart?.abort()
      throw error
    }
  }

  /** A client waits for it. Where the store falls silent meanwhile, it is told, and can soon send so few bytes again. */
  async function writeWhole(Key: string, Body: Buffer): Promise<void> {
    const away = new AbortController()
    const timer = setInterval(() => check().catch((fault) => away.abort(fault)), LOOK_MS)
    try {
      const command = new PutObjectCommand({ Bucket, Key, Body, ContentLength: Body.length, IfNoneMatch: '*' })
      await store.send(command, away.signal)
    } catch (fault) {
      await unlessDone(Key, Body.length, away.signal.reason ?? fault)
    } finally {
      clearInterval(timer)
    }
    memory.give(Body)
  }

  /** A store that ignores the condition at the end, as some do, is asked at the beginning. */
  async function begin(Key: string) {
    if ((await lengthOf(Key)) !== null) throw new Error(`there is a blob ${Key} already`)
    const { UploadId } = await store.ask(new CreateMultipartUploadCommand({ Bucket, Key })).catch((fault) => {
      // It may have begun all the same, under an id that nobody told us.
      abandon(Key)
      throw fault
    })
    const parts: { PartNumber: number; ETag: string | undefined }[] = []
    const sending = new Set<Promise<void>>()
    const stop = new AbortController()
    // Each part on its way listens.
    setMaxListeners(0, stop.signal)
    let fault: unknown = null
    let totalBytes = 0

    return {
      /** Takes the bytes on their way, once there is a turn. They must stay as they are. */
      async send(Body: Buffer): Promise<void> {
        await turn.take()
        const part = { PartNumber: parts.length + 1, ETag: undefined as string | undefined }
        parts.push(part)
        totalBytes += Body.length
        const sent = sendPart(part, Body).finally(() => {
          turn.give()
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
          .send(new CompleteMultipartUploadCommand(done))
          .catch((answer) => unlessDone(Key, totalBytes, answer))
      },

      async abort(): Promise<void> {
        stop.abort()
        await Promise.all(sending)
        await store.ask(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => abandon(Key))
      },
    }

    /** Never rejects: the first fault is for whoever sends the next part, or waits for the last. */
    async function sendPart(part: (typeof parts)[number], Body: Buffer): Promise<void> {
      try {
        const { PartNumber } = part
        const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ContentLength: Body.length })
        part.ETag = (await store.send(command, stop.signal)).ETag
        // Where it fails, something may go on sending it.
        memory.give(Body)
      } catch (error) {
        fault ??= error
      }
    }
  }

  /** A request that is sent again, as its answer got lost, is refused for what its first sending has done. */
  async function unlessDone(Key: string, bytes: number, fault: StoreFault): Promise<void> {
    if (fault.retried && (fault.status === 412 || fault.status === 404) && (await lengthOf(Key)) === bytes) return
    throw fault
  }

  async function lengthOf(Key: string): Promise<number | null> {
    try {
      return (await store.ask(new HeadObjectCommand({ Bucket, Key }))).ContentLength ?? 0
    } catch (error) {
      if (error instanceof StoreFault && error.isAbsence) return null
      throw error
    }
  }
}
