/**
 * Stores blobs as objects `<run>/<random>` in a bucket. An object is visible only when it is complete and durable, so an upload
 * needs no temporary name. A crash leaves parts of incomplete uploads; closing their run removes them.
 */
import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import pLimit from 'p-limit'
import type { BlobStore } from '../../ports/blobs.ts'
import type { Clock } from '../../ports/ports.ts'
import { connection, type S3Settings, tryOut } from './connection.ts'
import { StoreError } from './errors.ts'
import { objectReader } from './reader.ts'
import { objectWriter } from './writer.ts'

const RUN = /^[A-Za-z0-9_-]+$/
const BLOB = /^[A-Za-z0-9_-]+\/[A-Za-z0-9_-]+$/
/** The maximum of one request, by the API. */
const DELETED_AT_ONCE = 1000
const ABORTED_AT_ONCE = 50
/** The number of parallel requests where the API has no batch request. */
const AT_ONCE = 8
/** A request that waits for an unreachable store fails within the sum of these two. */
const CHECK_EVERY_MS = 500
const CHECK_MS = 1200

export interface S3Blobs extends BlobStore {
  /** Throws if the bucket cannot be reached. Sends at most two requests a second. */
  check(): Promise<void>
  /** Stores an object of one byte, and removes it. */
  probe(): Promise<void>
  close(): Promise<void>
}

/** No blob has this name. Others may keep objects in the bucket, too. */
const PROBE = 'minikeepsafe-probe'

/** The interval of retries for uploads that could not be aborted. */
const ABORT_AGAIN_MS = 30_000

/** Throws an error that names the setting if the bucket cannot be used. */
export async function s3Blobs(settings: S3Settings, clock: Clock, abortAgainMs = ABORT_AGAIN_MS): Promise<S3Blobs> {
  const store = connection(settings)
  const { bucket: Bucket } = settings
  await tryOut(store, settings).catch((error) => {
    store.close()
    throw error
  })
  const check = onceIn(CHECK_EVERY_MS, clock, async () => {
    await store.ask(new HeadBucketCommand({ Bucket }), CHECK_MS)
  })
  /** Keys of failed uploads whose parts may still be in the bucket. */
  const abandoned = new Set<string>()
  let retryTimer: NodeJS.Timeout | null = null
  const writer = objectWriter(store, abandon)
  let deletesMany = true

  return {
    opensAhead: 4,
    check,

    async probe() {
      await store.ask(new PutObjectCommand({ Bucket, Key: PROBE, Body: 'x', ContentLength: 1 }))
      // Not awaited: it was written, and the next probe replaces what is left.
      store.ask(new DeleteObjectCommand({ Bucket, Key: PROBE })).catch(() => {})
    },

    async put(blob, batches, signal) {
      const Key = keyOf(blob)
      // Checked while the first bytes arrive: if the store is down, the upload fails before it sends bytes there.
      const reachable = check()
      reachable.catch(() => {})
      await writer.write(Key, afterwards(reachable, batches), signal)
    },

    async open(blob, start, end) {
      const Key = keyOf(blob)
      const fetch = (from: number) => bytesOf(Key, from, end)
      try {
        return objectReader(await fetch(start), start, end, fetch)
      } catch (error) {
        if (error instanceof StoreError && error.isAbsence) return null
        throw error
      }
    },

    async length(blob) {
      return writer.lengthOf(keyOf(blob))
    },

    async delete(blobs) {
      const keys = blobs.map(keyOf)
      for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) await deleteAll(keys.slice(at, at + DELETED_AT_ONCE))
    },

    async *list(run) {
      for (let token: string | undefined; ; ) {
        const page = await store.send(
          new ListObjectsV2Command({ Bucket, Prefix: prefixOf(run), ...(token && { ContinuationToken: token }) }),
        )
        yield (page.Contents ?? []).map(({ Key = '' }) => Key).filter((key) => BLOB.test(key))
        token = page.NextContinuationToken
        if (!token) return
      }
    },

    async runs() {
      const found: string[] = []
      for (let token: string | undefined; ; ) {
        const page = await store.send(
          new ListObjectsV2Command({ Bucket, Delimiter: '/', ...(token && { ContinuationToken: token }) }),
        )
        found.push(...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix.slice(0, -1)))
        token = page.NextContinuationToken
        if (!token) return found.filter((run) => RUN.test(run))
      }
    },

    closeRun: (run) => abortUploads(prefixOf(run)),

    async close() {
      if (retryTimer) clearTimeout(retryTimer)
      store.close()
    },
  }

  async function abortUploads(Prefix: string): Promise<void> {
    for (let marker = {}; ; ) {
      const page = await store.send(
        new ListMultipartUploadsCommand({ Bucket, Prefix, MaxUploads: ABORTED_AT_ONCE, ...marker }),
      )
      await pLimit(AT_ONCE).map(page.Uploads ?? [], ({ Key, UploadId }) =>
        unlessGone(store.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))),
      )
      if (!page.IsTruncated) return
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
    }
  }

  /** Retries the abort later. If this process ends before that, the sweeper aborts the upload after the run is over. */
  function abandon(Key: string): void {
    abandoned.add(Key)
    retryTimer ??= setTimeout(async () => {
      const failed: string[] = []
      for (const key of [...abandoned]) {
        abandoned.delete(key)
        await abortUploads(key).catch(() => failed.push(key))
      }
      retryTimer = null
      for (const key of failed) abandon(key)
    }, abortAgainMs).unref()
  }

  async function bytesOf(Key: string, start: number, end: number): Promise<Readable> {
    const { Body } = await store.ask(new GetObjectCommand({ Bucket, Key, Range: `bytes=${start}-${end - 1}` }))
    return Body as Readable
  }

  async function deleteAll(keys: string[]): Promise<void> {
    if (keys.length > 1 && deletesMany) {
      const Objects = keys.map((Key) => ({ Key }))
      try {
        const { Errors = [] } = await store.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
        if (Errors.length === 0) return
      } catch (error) {
        if (!(error instanceof StoreError && [400, 405, 501].includes(error.status ?? 0))) throw error
        // Not every store supports DeleteObjects, so objects are deleted one by one from now on.
        deletesMany = false
      }
    }
    await pLimit(AT_ONCE).map(keys, (Key) => unlessGone(store.send(new DeleteObjectCommand({ Bucket, Key }))))
  }
}

function keyOf(blob: string): string {
  if (!BLOB.test(blob)) throw new Error('not a blob id')
  return blob
}

function prefixOf(run: string): string {
  if (!RUN.test(run)) throw new Error('not the id of a run')
  return `${run}/`
}

async function unlessGone(removal: Promise<unknown>): Promise<void> {
  await removal.catch((error) => {
    if (!(error instanceof StoreError && error.isAbsence)) throw error
  })
}

/** The same batches. The first one waits until `first` has resolved. */
async function* afterwards<T>(first: Promise<void>, batches: AsyncIterable<T>): AsyncGenerator<T> {
  let waited = false
  for await (const batch of batches) {
    if (!waited) await first
    waited = true
    yield batch
  }
}

/** Runs the check at most once in `ms`. Calls in between get the last result. */
function onceIn(ms: number, clock: Clock, check: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> | null = null
  let endedAt = Number.NEGATIVE_INFINITY
  return () => {
    if (last && clock() < endedAt + ms) return last
    endedAt = Number.POSITIVE_INFINITY
    last = check().finally(() => {
      endedAt = clock()
    })
    return last
  }
}
