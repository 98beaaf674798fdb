/** SIGKILL at random moments of appends: no acknowledged byte is lost, and each upload is finished afterwards. */
import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { blobsIn, temporaryFolder } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { command, type ServerProcess, serverProcess, signedIn } from '../support/process.ts'
import { appending, asking, beginning, type Dialect, isComplete, toldOffset } from '../support/resuming.ts'

const ROUNDS = 6
const LANES = 6
const MiB = 1024 * 1024

interface Upload {
  dialect: Dialect
  name: string
  bytes: Buffer
  path: string
  acknowledged: number
  sent: number
}

it(`keeps what it acknowledged of appends through ${ROUNDS} kills`, async () => {
  const folder = await temporaryFolder()
  let server = serverProcess(folder, { RATE_LIMIT: 'off' })
  const headers = await signedIn(server)
  const running: (Upload | null)[] = Array.from({ length: LANES }, () => null)
  const done = new Map<string, Buffer>()
  let acknowledgements = 0
  const kept = { acknowledged: 0, more: 0 }

  for (let round = 0; round < ROUNDS; round += 1) {
    const now = server
    await now.url
    const working = Promise.all(running.map((_, lane) => work(now, lane)))
    // A failure in a lane is thrown once all lanes have ended.
    working.catch(() => {
      acknowledgements = Number.POSITIVE_INFINITY
    })
    const from = acknowledgements
    const until = randomInt(1, 4 * LANES)
    while (acknowledgements < from + until) await pause(1)
    await pause(randomInt(0, 50))
    await now.stop('SIGKILL')
    await working
    server = serverProcess(folder, { RATE_LIMIT: 'off' })
    const next = server
    await Promise.all(running.map((_, lane) => resume(next, lane)))
  }
  const last = server
  await Promise.all(running.map((upload) => upload && finish(last, upload)))

  process.stderr.write(`${done.size} files; ${kept.acknowledged} times as acknowledged, ${kept.more} times more\n`)
  expect(done.size).toBeGreaterThanOrEqual(LANES)
  for (const [name, bytes] of done) {
    const file = await server.request(`/v1/files/${name}`, { headers })
    expect(file.bytes.equals(bytes), name).toBe(true)
  }
  // Creations without a response.
  const { uploads } = (await server.request('/v1/uploads', { headers })).body as { uploads: { id: string }[] }
  for (const { id } of uploads) await server.request(`/v1/uploads/${id}`, { method: 'DELETE', headers })
  expect(await server.stop('SIGTERM')).toBe(0)
  expect(await command(folder, ['sweep'])).toMatchObject({ code: 0, report: { garbage: 0 } })
  const { code, report } = await command(folder, ['verify'])
  expect({ code, ...report }).toMatchObject({ code: 0, damaged: [], missing: [], orphans: [], usage: [] })
  expect(await blobsIn(folder)).toHaveLength(report.blobs as number)

  /** Appends until the server is gone. */
  async function work(at: ServerProcess, lane: number): Promise<void> {
    for (;;) {
      const upload = running[lane] ?? (await begin(at, lane))
      if (!upload) return
      running[lane] = upload
      const { bytes, acknowledged } = upload
      const end = Math.min(bytes.length, acknowledged + randomInt(1, MiB))
      const answer = await append(at, upload, end)
      if (!answer) return
      expect([200, 201, 204], `${answer.status} ${answer.bytes}`).toContain(answer.status)
      expect(toldOffset(answer)).toBe(end)
      upload.acknowledged = end
      acknowledgements += 1
      if (isComplete(answer)) finished(lane, upload)
    }
  }

  async function begin(at: ServerProcess, lane: number): Promise<Upload | null> {
    const dialect: Dialect = lane % 2 === 0 ? 'tus' : 10
    const name = `film-${lane}-${randomBytes(4).toString('hex')}`
    const bytes = randomBytes(randomInt(1, 3 * MiB))
    const size = bytes.length
    const { path, call } = beginning(dialect, name, { bytes: Buffer.alloc(0), isLast: false, size })
    const answer = await at.request(path, { ...call, headers: { ...headers, ...call.headers } }).catch(() => null)
    if (!answer) return null
    expect(answer.status).toBe(201)
    return { dialect, name, bytes, path: answer.headers.location as string, acknowledged: 0, sent: 0 }
  }

  async function append(at: ServerProcess, upload: Upload, end: number): Promise<Answer | null> {
    const { dialect, path: to, bytes, acknowledged } = upload
    upload.sent = end
    const piece = { bytes: bytes.subarray(acknowledged, end), isLast: end === bytes.length }
    const { path, call } = appending(dialect, to, acknowledged, piece)
    return at.request(path, { ...call, headers: { ...headers, ...call.headers } }).catch(() => null)
  }

  async function resume(at: ServerProcess, lane: number): Promise<void> {
    const upload = running[lane]
    if (!upload) return
    const { path, call } = asking(upload.dialect, upload.path)
    const answer = await at.request(path, { ...call, headers: { ...headers, ...call.headers } })
    const offset = toldOffset(answer) ?? Number.NaN
    expect(offset).toBeGreaterThanOrEqual(upload.acknowledged)
    expect(offset).toBeLessThanOrEqual(upload.sent)
    kept[offset === upload.acknowledged ? 'acknowledged' : 'more'] += 1
    upload.acknowledged = offset
    if (isComplete(answer)) finished(lane, upload)
    else if (upload.dialect === 'tus') expect(offset).toBeLessThan(upload.bytes.length)
  }

  async function finish(at: ServerProcess, upload: Upload): Promise<void> {
    const answer = await append(at, upload, upload.bytes.length)
    expect(answer && isComplete(answer)).toBe(true)
    done.set(upload.name, upload.bytes)
  }

  function finished(lane: number, { name, bytes }: Upload) {
    done.set(name, bytes)
    running[lane] = null
  }
}, 300_000)
