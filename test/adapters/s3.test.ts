import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, it, onTestFinished, vi } from 'vitest'
import { s3Blobs } from '../../src/adapters/s3/blobs.ts'
import type { S3Settings } from '../../src/adapters/s3/connection.ts'
import { blobStoreContract } from '../contracts/blob-store.ts'
import { testClock } from '../support/app.ts'
import { listed } from '../support/blobs.ts'
import { beginUpload, clientOf, describeS3, newBucket, overFaultyLine, unfinishedIn } from '../support/s3.ts'

const MiB = 1024 * 1024
const PART = 8 * MiB

async function store(settings: S3Settings) {
  // The store’s own patience is half a minute.
  const blobs = await s3Blobs(settings, testClock(), 50)
  onTestFinished(blobs.close)
  return blobs
}

/** A store over a line that works until the test lets it break. */
async function onFaultyLine() {
  const bucket = await newBucket()
  const { settings, line } = await overFaultyLine(bucket)
  const blobs = await store(settings)
  // Which the clock does not let it ask again.
  await blobs.check()
  onTestFinished(line.heal)
  return { bucket, line, blobs }
}

async function* inBatches(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += MiB) yield [bytes.subarray(at, at + MiB)]
}

async function* one(bytes: string | Buffer) {
  yield [Buffer.from(bytes)]
}

describeS3('in S3', () => {
  blobStoreContract('S3', async () => store(await newBucket()))

  it.each([PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7])('keeps a blob of %i bytes', async (size) => {
    const blobs = await store(await newBucket())
    const bytes = randomBytes(size)
    await blobs.put('run/a', inBatches(bytes))
    expect(await blobs.length('run/a')).toBe(size)
    for (const edge of [0, PART, 2 * PART, 3 * PART, size]) {
      const [start, end] = [Math.max(0, edge - 5), Math.min(size, edge + 5)]
      if (start >= end) continue
      const reader = await blobs.open('run/a', start, end)
      expect((await reader?.read(10))?.equals(bytes.subarray(start, end))).toBe(true)
      await reader?.close()
    }
  })

  it('shows nothing of a blob until it is whole', async () => {
    const blobs = await store(await newBucket())
    const seen: unknown[] = []
    await blobs.put(
      'run/a',
      (async function* () {
        yield* inBatches(randomBytes(2 * PART))
        seen.push(await blobs.open('run/a', 0, 1), await blobs.length('run/a'), await listed(blobs, 'run'))
        yield [Buffer.of(1)]
      })(),
    )
    expect(seen).toEqual([null, null, []])
    expect(await blobs.length('run/a')).toBe(2 * PART + 1)
  })

  it('leaves no part of a put whose bytes break off', async () => {
    const bucket = await newBucket()
    const blobs = await store(bucket)
    const broken = async function* () {
      yield* inBatches(randomBytes(3 * PART))
      throw new Error('the line went dead')
    }
    await expect(blobs.put('run/a', broken())).rejects.toThrow('the line went dead')
    expect(await unfinishedIn(bucket)).toEqual([])
  })

  it('removes what a killed process has left unfinished, with its run alone', async () => {
    const bucket = await newBucket()
    const keys = Array.from({ length: 60 }, (_, n) => `ended/${n}`)
    for (const key of [...keys, 'living/a']) await beginUpload(bucket, key, Buffer.of(1))
    const blobs = await store(bucket)
    await blobs.closeRun('ended')
    expect(await unfinishedIn(bucket)).toEqual(['living/a'])
    await blobs.closeRun('living')
  })

  it('finds more blobs, and deletes more, than one request takes', async () => {
    const blobs = await store(await newBucket())
    const ids = Array.from({ length: 1010 }, (_, n) => `run/${n}`)
    for (let at = 0; at < ids.length; at += 50) {
      await Promise.all(ids.slice(at, at + 50).map((id) => blobs.put(id, one('x'))))
    }
    expect((await listed(blobs, 'run')).sort()).toEqual([...ids].sort())
    await blobs.delete(ids)
    expect(await listed(blobs, 'run')).toEqual([])
  })

  it.each([400, 405, 501])('deletes one at a time where a store answers %i to many', async (status) => {
    const bucket = await newBucket()
    let refused = 0
    const endpoint = await answering(bucket, (request) => {
      if (!request.url?.includes('?delete')) return null
      refused += 1
      return status
    })
    const blobs = await store({ ...bucket, endpoint })
    for (const round of [1, 2]) {
      await blobs.put('run/a', one('a'))
      await blobs.put('run/b', one('b'))
      await blobs.delete(['run/a', 'run/b', `run/none-${round}`])
      expect(await listed(blobs, 'run')).toEqual([])
    }
    expect(refused).toBe(1)
  })

  it('does not say that blobs are deleted which the store refused to delete', async () => {
    const bucket = await newBucket()
    const blobs = await store({ ...bucket, endpoint: await answering(bucket, denyingDeletes) })
    await blobs.put('run/a', one('a'))
    for (const gone of [['run/a'], ['run/a', 'run/b']]) {
      await expect(blobs.delete(gone)).rejects.toMatchObject({ code: 'EUNREACHABLE' })
    }
    expect(await listed(blobs, 'run')).toEqual(['run/a'])
  })

  it('takes nothing for a blob that others keep in the bucket', async () => {
    const bucket = await newBucket()
    const client = clientOf(bucket)
    for (const Key of ['a file', 'a folder/with a file', 'run/deeper/file', 'run/a']) {
      await client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key, Body: 'x' }))
    }
    const blobs = await store(bucket)
    expect([await blobs.runs(), await listed(blobs, 'run')]).toEqual([['run'], ['run/a']])
  })

  it.each(['../escape', 'run/../../escape', 'run', 'run/a/b', ''])('has no blob called %j', async (blob) => {
    const blobs = await store(await newBucket())
    await expect(blobs.open(blob, 0, 1)).rejects.toThrow('not a blob id')
    await expect(listed(blobs, 'run/')).rejects.toThrow('not the id of a run')
  })

  it('takes a long blob for stored where the store says that it knows nothing of the upload any more', async () => {
    const bucket = await newBucket()
    let completions = 0
    const endpoint = await answering(bucket, ({ method, url }) => {
      if (method !== 'POST' || !url?.includes('uploadId=')) return null
      completions += 1
      return completions === 1 ? { afterwards: 500 } : 404
    })
    const blobs = await store({ ...bucket, endpoint })
    await blobs.put('run/a', inBatches(randomBytes(PART + 1)))
    expect(await blobs.length('run/a')).toBe(PART + 1)
    await expect(blobs.put('run/b', inBatches(randomBytes(PART + 1)))).rejects.toThrow('CompleteMultipartUpload')
    expect([await listed(blobs, 'run'), await unfinishedIn(bucket)]).toEqual([['run/a'], []])
  })

  it('loses nothing where an answer got lost and the request was sent again', async () => {
    for (const [size, request] of [
      [1000, 'x-id=PutObject'],
      [PART + 1, '/run/a?uploadId='],
    ] as const) {
      const { line, blobs } = await onFaultyLine()
      const lost = line.loseAnswerTo(request)
      await blobs.put('run/a', inBatches(randomBytes(size)))
      await lost
      expect(await blobs.length('run/a')).toBe(size)
    }
  })
})

describeS3('a store that cannot be used', () => {
  it.each([500, 503])('is asked again where it answers %i, and is out of reach where it goes on', async (status) => {
    const bucket = await newBucket()
    let failures = 0
    const endpoint = await answering(bucket, () => {
      if (failures === 0) return null
      failures -= 1
      return status
    })
    const blobs = await store({ ...bucket, endpoint })
    await blobs.put('run/a', one('a'))
    failures = 1
    expect(await blobs.length('run/a')).toBe(1)
    failures = Number.POSITIVE_INFINITY
    await expect(blobs.length('run/a')).rejects.toMatchObject({ code: 'EUNREACHABLE' })
  })

  it.each<[string, Partial<S3Settings>, RegExp]>([
    ['the bucket', { bucket: 'no-such-bucket' }, /^S3_BUCKET is no-such-bucket, and there is no such bucket at/],
    ['the key', { accessKeyId: 'nobody' }, /^S3_ACCESS_KEY_ID is not known/],
    ['the secret', { secretAccessKey: 'hush-hush' }, /^S3_SECRET_ACCESS_KEY does not belong to S3_ACCESS_KEY_ID/],
    [
      'the endpoint',
      { endpoint: 'http://127.0.0.1:1' },
      /^S3_ENDPOINT is http:\/\/127.0.0.1:1, which cannot be reached/,
    ],
  ])('is told at the start, by the setting of %s and not its secret', async (_, wrong, message) => {
    const settings = { ...(await newBucket()), ...wrong }
    const error = await s3Blobs(settings, testClock()).catch((fault: Error) => fault)
    expect(error).toBeInstanceOf(Error)
    expect((error as Error).message).toMatch(message)
    expect(inspect(error, { depth: 10 })).not.toContain(settings.secretAccessKey)
  })

  it('is told at the start where another owns the bucket', async () => {
    const { accessKeyId, secretAccessKey } = await newBucket('tight')
    const settings = { ...(await newBucket()), accessKeyId, secretAccessKey }
    await expect(s3Blobs(settings, testClock())).rejects.toThrow(/^S3_ACCESS_KEY_ID may not list the bucket/)
  })

  it('says that it is full, and has nothing of the blob', async () => {
    const blobs = await store(await newBucket('tight'))
    for (const size of [2 * MiB, PART + 1]) {
      await expect(blobs.put('run/a', inBatches(randomBytes(size)))).rejects.toMatchObject({ code: 'ENOSPC' })
      expect(await listed(blobs, 'run')).toEqual([])
    }
  })

  it.each(['refuses', 'hangs'])('is out of reach for every act while it %s, and in reach after', async (how) => {
    const { line, blobs } = await onFaultyLine()
    await blobs.put('run/a', one('here'))
    if (how === 'hangs') line.hang()
    else await line.refuse()
    const acts = [
      blobs.open('run/a', 0, 4),
      blobs.length('run/a'),
      ...(how === 'hangs' ? [] : [blobs.delete(['run/a']), listed(blobs, 'run'), blobs.runs(), blobs.closeRun('run')]),
      ...(how === 'hangs' ? [] : [blobs.put('run/b', one('b')), blobs.put('run/b', inBatches(randomBytes(PART + 1)))]),
    ]
    for (const act of await Promise.allSettled(acts)) {
      expect(act).toMatchObject({ status: 'rejected', reason: { code: 'EUNREACHABLE' } })
    }
    await line.heal()
    const reader = await blobs.open('run/a', 0, 4)
    expect(String(await reader?.read(4))).toBe('here')
    await reader?.close()
  })

  it('is asked before bytes are sent there', async () => {
    const { settings, line } = await overFaultyLine(await newBucket())
    const clock = testClock()
    const blobs = await s3Blobs(settings, clock)
    onTestFinished(blobs.close)
    await blobs.check()
    line.hang()
    clock.turn(1000)
    await expect(blobs.put('run/a', inBatches(randomBytes(PART)))).rejects.toMatchObject({
      code: 'EUNREACHABLE',
      message: expect.stringContaining('HeadBucket'),
    })
    await expect(blobs.check()).rejects.toMatchObject({ code: 'EUNREACHABLE' })
    await line.heal()
    clock.turn(1000)
    await blobs.check()
  })

  it('that goes in the middle of a long put leaves no blob, and lets go of the bytes', async () => {
    const { bucket, line, blobs } = await onFaultyLine()
    let letGo = false
    const bytes = async function* () {
      try {
        yield* inBatches(randomBytes(PART + MiB))
        await line.refuse()
        for (;;) yield [randomBytes(MiB)]
      } finally {
        letGo = true
      }
    }
    await expect(blobs.put('run/a', bytes())).rejects.toMatchObject({ code: 'EUNREACHABLE' })
    expect(letGo).toBe(true)
    expect(await unfinishedIn(bucket)).toEqual(['run/a'])
    // Long enough to have tried in vain.
    await pause(200)
    await line.heal()
    expect(await listed(blobs, 'run')).toEqual([])
    // By the same process, whose run goes on.
    await expect.poll(() => unfinishedIn(bucket)).toEqual([])
  })

  it('that begins a long put and does not say so keeps nothing of it', async () => {
    const bucket = await newBucket()
    let failing = true
    const begins = ({ url }: IncomingMessage) => failing && /[?&]uploads\b/.test(url ?? '') && url?.includes('/run/a')
    const endpoint = await answering(bucket, (request) => (begins(request) ? { afterwards: 500 } : null))
    const blobs = await store({ ...bucket, endpoint })
    await expect(blobs.put('run/a', inBatches(randomBytes(PART + MiB)))).rejects.toMatchObject({ code: 'EUNREACHABLE' })
    expect((await unfinishedIn(bucket)).length).toBeGreaterThan(0)
    failing = false
    await expect.poll(() => unfinishedIn(bucket)).toEqual([])
  })

  it.each(['refuses', 'hangs'])('that %s in the middle of a read fails it', async (how) => {
    const { line, blobs } = await onFaultyLine()
    await blobs.put('run/a', inBatches(randomBytes(40 * MiB)))
    const reader = await blobs.open('run/a', 0, 40 * MiB)
    await reader?.read(MiB)
    if (how === 'hangs') line.hang()
    else await line.refuse()
    const rest = async () => {
      while ((await reader?.read(MiB))?.length) {}
    }
    await expect(rest()).rejects.toMatchObject({ code: 'EUNREACHABLE' })
    await reader?.close()
  })
})

/** What is answered in place of the store: without asking it, or once it has done what it was asked. */
type Instead = number | { afterwards: number } | null

/** The store behind a server that answers some requests by itself. */
async function answering({ endpoint }: S3Settings, answer: (request: IncomingMessage) => Instead) {
  const server = createServer((request, response) => {
    const instead = answer(request)
    if (typeof instead === 'number') {
      request.resume()
      return void response.writeHead(instead).end()
    }
    const { method, headers } = request
    const onward = httpRequest(endpoint + request.url, { method, headers }, (answered) => {
      if (instead) {
        answered.resume().on('end', () => response.writeHead(instead.afterwards).end())
      } else {
        response.writeHead(answered.statusCode ?? 500, answered.headers)
        answered.pipe(response)
      }
    })
    request.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const denyingDeletes = ({ method, url }: IncomingMessage) =>
  method === 'DELETE' || url?.includes('?delete') ? 403 : null

describeS3('a reader from S3', () => {
  it('goes on where a connection breaks', async () => {
    const { line, blobs } = await onFaultyLine()
    const bytes = randomBytes(20 * MiB)
    await blobs.put('run/a', inBatches(bytes))
    const reader = await blobs.open('run/a', 5, bytes.length)
    for (let at = 5; at < bytes.length; ) {
      const piece = (await reader?.read(MiB)) as Buffer
      expect(piece.equals(bytes.subarray(at, at + piece.length))).toBe(true)
      at += piece.length
      line.cut()
    }
    await reader?.close()
  })

  it('that is closed early takes its connection with it, and no other', async () => {
    const { line, blobs } = await onFaultyLine()
    const bytes = randomBytes(20 * MiB)
    await blobs.put('run/a', inBatches(bytes))
    const before = line.open()
    for (let n = 0; n < 50; n += 1) {
      const reader = await blobs.open('run/a', 0, bytes.length)
      await reader?.read(10)
      await reader?.close()
    }
    const reader = await blobs.open('run/a', 0, bytes.length)
    expect((await reader?.read(MiB))?.equals(bytes.subarray(0, MiB))).toBe(true)
    await reader?.close()
    await vi.waitFor(() => expect(line.open()).toBeLessThanOrEqual(before))
  })

  it('that was read to its end leaves its connection to the next', async () => {
    const { line, blobs } = await onFaultyLine()
    await blobs.put('run/a', one('a few bytes'))
    const before = line.open()
    for (let n = 0; n < 50; n += 1) {
      const reader = await blobs.open('run/a', 2, 5)
      expect(String(await reader?.read(3))).toBe('few')
      await reader?.close()
    }
    expect(line.open()).toBeLessThanOrEqual(before + 1)
  })
})
