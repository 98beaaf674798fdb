/** The server as a process, with its files in S3. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { adaptersOf, warningsOf } from '../../src/compose/startup-log.ts'
import { readConfig } from '../../src/config/config.ts'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { describeS3, newBucket, s3Environment } from '../support/s3.ts'

const MiB = 1024 * 1024
const block = randomBytes(MiB)

function* blocks(count: number) {
  for (let n = 0; n < count; n += 1) yield block
}

it.each([
  ['http://s3.example.org', true],
  ['https://s3.example.org', false],
  ['http://127.0.0.1:9000', false],
])('warns of plain HTTP to another machine: with %s %s', (S3_ENDPOINT, warns) => {
  const s3 = { S3_BUCKET: 'b', S3_ENDPOINT, S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'hush' }
  const config = readConfig(s3)
  expect(warningsOf(config).some((line) => line.includes('S3_ENDPOINT is plain HTTP'))).toBe(warns)
  expect(adaptersOf(config)).toContain('sealed files in S3')
})

describeS3('a server with S3', () => {
  it('takes 256 MiB with memory that grows by less than 100 MiB, and says where the files are', async () => {
    const bucket = await newBucket()
    const server = serverProcess(await temporaryFolder(), s3Environment(bucket))
    const headers = await signedIn(server)
    // Long enough to be sent in parts, as the one that is measured.
    await server.request('/v1/files/first', { method: 'PUT', headers, body: Readable.from(blocks(32)) })
    const before = server.memory().now
    const put = await server.request('/v1/files/film', { method: 'PUT', headers, body: Readable.from(blocks(256)) })
    expect([put.status, (put.body as { size: number }).size]).toEqual([201, 256 * MiB])
    expect((server.memory().peak - before) / MiB).toBeLessThan(100)
    expect(server.output()).toContain(`the bucket ${bucket.bucket} at ${bucket.endpoint}`)
    expect(server.output()).not.toContain(bucket.secretAccessKey)
    expect(await server.stop('SIGTERM')).toBe(0)
  }, 120_000)

  it('does not start with a wrong secret, and names the setting alone', async () => {
    const settings = { ...s3Environment(await newBucket()), S3_SECRET_ACCESS_KEY: 'hush-hush' }
    const server = serverProcess(await temporaryFolder(), settings)
    await expect(server.url).rejects.toThrow('The server cannot start: S3_SECRET_ACCESS_KEY does not belong')
    expect(await server.exit).toBe(1)
    expect(server.output()).not.toContain('hush-hush')
  })
})
