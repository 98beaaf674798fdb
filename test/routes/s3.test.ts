/** The story of a file whose bytes are in S3: real sockets, real SQLite, a real store. */
import { randomBytes } from 'node:crypto'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { expect, it } from 'vitest'
import { backupSource, backupTarget } from '../../src/compose/backups.ts'
import { measureBlobs } from '../../src/vault/operator/operator.ts'
import { member, memberWith, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { listed } from '../support/blobs.ts'
import { operator } from '../support/operator.ts'
import {
  beginUpload,
  clientOf,
  describeS3,
  newBucket,
  objectsIn,
  overFaultyLine,
  s3Environment,
  unfinishedIn,
} from '../support/s3.ts'

const MiB = 1024 * 1024
/** Two parts and some. */
const FILM = randomBytes(20 * MiB + 5)

async function blobsIn({ ports }: TestApp): Promise<string[]> {
  const runs = await ports.blobs.runs()
  return (await Promise.all(runs.map((run) => listed(ports.blobs, run)))).flat()
}

async function onFaultyLine() {
  const { settings, line } = await overFaultyLine(await newBucket())
  const app = await testApp(s3Environment(settings))
  return { app, line, ada: await member(app) }
}

describeS3('files in S3', () => {
  it('come in, go out, are replaced, deleted, and swept', async () => {
    const bucket = await newBucket()
    const home = await temporaryFolder()
    const app = await testApp(s3Environment(bucket), home)
    const ada = await member(app)
    expect((await ada.put('film', FILM)).status).toBe(201)
    expect((await ada.put('note', 'a few words')).status).toBe(201)
    expect((await ada.get('film')).bytes.equals(FILM)).toBe(true)

    const range = await ada.get('film', { range: `bytes=${9 * MiB}-${9 * MiB + 99}` })
    expect([range.status, range.bytes.equals(FILM.subarray(9 * MiB, 9 * MiB + 100))]).toEqual([206, true])
    expect((await ada.replace('film', 'shorter')).status).toBe(200)
    expect((await ada.get('film')).body).toBe('shorter')
    await app.settled()
    expect(await blobsIn(app)).toHaveLength(2)

    const run = String((await blobsIn(app))[0]).split('/')[0]
    await app.ports.blobs.put(`${run}/stray`, one('as a crash leaves it'))
    await beginUpload(bucket, `${run}/unfinished`)
    await app.close()
    const next = await testApp(s3Environment(bucket), home)
    const again = memberWith(next, ada)
    expect((await again.get('film')).body).toBe('shorter')
    await again.request('/v1/files/film', { method: 'DELETE' })
    await again.request('/v1/trash', { method: 'DELETE' })
    next.sweep()
    await next.settled()
    expect([(await blobsIn(next)).length, await unfinishedIn(bucket)]).toEqual([1, []])
    expect((await again.get('note')).body).toBe('a few words')
  })

  it('leave nothing where an upload breaks off', async () => {
    const bucket = await newBucket()
    const app = await testApp(s3Environment(bucket))
    const ada = await member(app)
    const headers = { 'repr-digest': `sha-256=:${randomBytes(32).toString('base64')}:` }
    expect(await ada.put('film', FILM, headers)).toBeProblem(400, 'digest-mismatch')
    await app.settled()
    expect([await blobsIn(app), await unfinishedIn(bucket)]).toEqual([[], []])
  })

  it.each<[string, (blob: Buffer) => Buffer, boolean]>([
    ['changed at the beginning', (blob) => changed(blob, 100), false],
    ['changed in the middle', (blob) => changed(blob, 10 * MiB), true],
    ['cut', (blob) => blob.subarray(0, -1), true],
    ['empty', () => Buffer.alloc(0), false],
  ])('that were %s never come out as a whole 200', async (_, tamper, afterFirstByte) => {
    const bucket = await newBucket()
    const app = await testApp(s3Environment(bucket))
    const ada = await member(app)
    await ada.put('film', FILM)
    const [Key] = await blobsIn(app)
    const object = { Bucket: bucket.bucket, Key }
    const client = clientOf(bucket)
    const { Body } = await client.send(new GetObjectCommand(object))
    const blob = Buffer.from((await Body?.transformToByteArray()) as Uint8Array)
    await client.send(new PutObjectCommand({ ...object, Body: tamper(blob) }))
    client.destroy()
    if (afterFirstByte) await expect(ada.get('film')).rejects.toThrow(/aborted|hang up|ECONNRESET/)
    else expect(await ada.get('film')).toBeProblem(500, 'internal-error')
  })

  it('can be counted, verified and swept beside the server, but not backed up', async () => {
    const app = await testApp(s3Environment(await newBucket()))
    const ada = await member(app)
    await ada.put('film', FILM)
    const { vault, ports, alarms } = await operator(app)
    const report = await vault.verify(() => {})
    expect(report).toMatchObject({ files: 1, blobs: 1, bytes: FILM.length, damaged: [], missing: [], orphans: [] })
    expect(await measureBlobs(ports.blobs)).toMatchObject({ count: 1 })
    await vault.sweep()
    expect(alarms).toEqual([])
    expect((await ada.get('film')).bytes.equals(FILM)).toBe(true)
    for (const refused of [backupTarget(app.config, '/nowhere'), backupSource(app.config, '/nowhere')]) {
      await expect(refused).rejects.toThrow('backup and restore are for files in UPLOADS_DIR')
    }
  })
})

describeS3('a server whose S3', () => {
  it.each(['refuses', 'hangs'])('%s answers 503, says so where it is watched, and goes on after', async (how) => {
    const { app, line, ada } = await onFaultyLine()
    await ada.put('note', 'a few words')
    if (how === 'hangs') line.hang()
    else await line.refuse()
    app.clock.turn(1000)
    const answers = await Promise.all([ada.get('note'), ada.put('other', 'x'), ada.put('film', FILM)])
    for (const answer of answers) {
      expect(answer).toBeProblem(503, 'not-ready')
      expect(answer.headers['retry-after']).toBe('5')
    }
    const ready = await app.request('/health/ready')
    expect(ready).toBeProblem(503, 'not-ready')
    expect(ready.body).toMatchObject({ detail: 'Not working: uploads.' })
    expect((await ada.request('/v1/files')).status).toBe(200)

    await line.heal()
    app.clock.turn(1000)
    await becomesReady(app)
    expect((await ada.get('note')).body).toBe('a few words')
    expect((await ada.put('other', 'x')).status).toBe(201)
    expect(app.log.join('\n')).not.toContain(app.config.S3_SECRET_ACCESS_KEY)
  })

  it('falls silent while it takes the bytes of a photo answers 503, and does not wait for as long as for a film', async () => {
    const { app, line, ada } = await onFaultyLine()
    expect((await app.request('/health/ready')).status).toBe(200)
    const before = line.connections()
    line.hang()
    const answer = ada.put('photo', randomBytes(5 * MiB))
    // It was asked for a moment ago, and by this clock no time has passed since.
    await expect.poll(line.connections).toBeGreaterThan(before)
    app.clock.turn(1000)
    expect(await answer).toBeProblem(503, 'not-ready')
    expect(app.log.join('\n')).toContain('the store takes no writes')

    await line.heal()
    app.clock.turn(1000)
    await becomesReady(app)
    expect((await ada.put('photo', 'bytes')).status).toBe(201)
  })

  it('falls silent in the first bytes of a photo answers 503, and does not ask again first', async () => {
    const { settings, line } = await overFaultyLine(await newBucket())
    const app = await testApp(s3Environment(settings))
    const ada = await member(app)
    await ada.put('photo', randomBytes(5 * MiB))
    const asked = line.counting('GetObject')
    const silent = line.hangInAnswerTo('GetObject')
    const answer = ada.get('photo')
    await silent
    expect(await answer).toBeProblem(503, 'not-ready')
    expect(asked()).toBe(1)
    await line.heal()
    expect((await ada.get('photo')).status).toBe(200)
  })

  it('does not say that it has stored a file keeps it until the next round of sweeping', async () => {
    const bucket = await newBucket()
    const { settings, line } = await overFaultyLine(bucket)
    const app = await testApp(s3Environment(settings))
    const ada = await member(app)
    await app.request('/health/ready')
    const objects = async () => (await objectsIn(bucket)).filter((key) => key.includes('/')).length
    line.delay(20_000)
    const answer = ada.put('photo', 'bytes')
    await expect.poll(objects).toBe(1)
    app.clock.turn(1000)
    expect(await answer).toBeProblem(503, 'not-ready')

    await line.heal()
    app.sweep()
    await app.settled()
    expect(await objects()).toBe(0)
  })

  it.each([
    ['a photo', 20],
    ['a photo of a part', 5 * MiB],
  ])('answers reads and hangs on writes refuses %s, then everything at once, and serves reads', async (_, bytes) => {
    const { app, line, ada } = await onFaultyLine()
    await ada.put('note', 'a few words')
    line.hangOnWrites()
    expect(await ada.put('photo', randomBytes(bytes))).toBeProblem(503, 'not-ready')
    for (const size of [1, FILM.length]) {
      const next = await ada.put('other', FILM.subarray(0, size))
      expect(next).toBeProblem(503, 'not-ready')
      expect(next.headers['retry-after']).toBe('5')
    }
    const ready = await app.request('/health/ready')
    expect(ready).toBeProblem(503, 'not-ready')
    expect(ready.body).toMatchObject({ detail: 'Not working: uploads.' })
    expect((await ada.get('note')).body).toBe('a few words')

    await line.heal()
    await becomesReady(app)
    expect((await ada.put('photo', 'bytes')).status).toBe(201)
    app.sweep()
    await app.settled()
    await expect.poll(async () => (await blobsIn(app)).length).toBe(2)
  })

  it('is full answers 507', async () => {
    const app = await testApp(s3Environment(await newBucket('tight')))
    const ada = await member(app)
    for (const bytes of [FILM, FILM.subarray(0, 2 * MiB)]) {
      expect(await ada.put('film', bytes)).toBeProblem(507, 'insufficient-storage')
    }
    expect((await ada.request('/v1/files')).body).toMatchObject({ files: [] })
  })
})

/** A store that hung is probed again several times a second. */
async function becomesReady(app: TestApp): Promise<void> {
  await expect.poll(async () => (await app.request('/health/ready')).status, { timeout: 10_000 }).toBe(200)
}

async function* one(text: string) {
  yield [Buffer.from(text)]
}

function changed(blob: Buffer, at: number): Buffer {
  const copy = Buffer.from(blob)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}
