/**
 * Resumable uploads over a connection that breaks at random bytes: what was acknowledged is never taken back, no more than what
 * was sent is there, and the file has the bytes of the client in the end.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { Agent } from 'node:http'
import { expect, it } from 'vitest'
import { type Dice, diceOf } from '../fuzz/chance.ts'
import { form, temporaryFolder } from '../support/app.ts'
import { type FaultyProxy, faultyProxy } from '../support/faulty-proxy.ts'
import { type Answer, type Call, call } from '../support/http.ts'
import { command, type ServerProcess, serverProcess, signedIn } from '../support/process.ts'
import {
  appending,
  asking,
  beginning,
  beginningByForm,
  beginningByPut,
  DIALECTS,
  DRAFTS,
  isComplete,
  type Piece,
  type Sending,
  toldOffset,
} from '../support/resuming.ts'

const ROUNDS = Number(process.env.UPLOAD_ROUNDS ?? 300)
const SEED = process.env.UPLOAD_SEED ?? '20261129'
const LANES = 4
/** After so many requests of one round, its connection breaks no more. */
const TROUBLED = 14
const MOST_REQUESTS = 100
const PATIENCE_MS = 30_000
const MiB = 1024 * 1024

/** All contents are parts of this. */
const pool = createCipheriv('aes-128-ctr', createHash('md5').update(SEED).digest(), Buffer.alloc(16)).update(
  Buffer.alloc(8 * MiB),
)

interface Lane {
  line: FaultyProxy
  /** `null`: the connection broke, and there was no response. */
  ask(sending: Sending, onLocation?: (path: string) => void): Promise<Answer | null>
  headers: { authorization: string }
}

type Kind = 'tus' | 'draft' | 'put' | 'form'

/** One upload, and what its client knows. */
interface Client {
  lane: Lane
  dice: Dice
  name: string
  kind: Kind
  /** What is sent: the file, or the form with it. */
  bytes: Buffer
  content: Buffer
  contentType: string
  path: string | null
  /** The last offset that the server told. */
  acknowledged: number
  /** The end of the last byte that was sent. */
  sent: number
  isLengthKnown: boolean
  isDone: boolean
  /** Whether `acknowledged` is the offset for sure, because every request since has its response. */
  isCertain: boolean
  told: string[]
}

it(`resumes in ${ROUNDS} rounds, with UPLOAD_SEED=${SEED}`, async () => {
  process.stderr.write(`UPLOAD_SEED=${SEED} UPLOAD_ROUNDS=${ROUNDS}\n`)
  const folder = await temporaryFolder()
  const server = serverProcess(folder, { RATE_LIMIT: 'off' })
  const lanes = await Promise.all(Array.from({ length: LANES }, () => laneTo(server)))
  const tally = { requests: 0, cuts: 0 }
  let next = 0
  await Promise.all(
    lanes.map(async (lane) => {
      for (let n = next++; n < ROUNDS; n = next++) {
        const client = clientOf(lane, n)
        await upload(client, tally).catch((error: Error) => {
          throw new Error(`round ${n} (${client.kind}, ${client.bytes.length} bytes): ${client.told.join('\n')}`, {
            cause: error,
          })
        })
      }
    }),
  )
  process.stderr.write(`${tally.requests} requests, ${tally.cuts} broken connections\n`)
  expect(tally.cuts).toBeGreaterThan(ROUNDS / 4)
  for (const { line, headers } of lanes) {
    await line.heal()
    await cancelRest(server, headers)
  }
  expect(server.output()).not.toMatch(/"level":50/)
  expect(await server.stop('SIGTERM')).toBe(0)
  await expectSound(folder)
}, 300_000)

async function laneTo(server: ServerProcess): Promise<Lane> {
  const { port } = new URL(await server.url)
  const line = await faultyProxy({ host: '127.0.0.1', port: Number(port) })
  const agent = new Agent({ keepAlive: true })
  const headers = await signedIn(server)
  return {
    line,
    headers,
    async ask({ path, call: sent }, onLocation) {
      const onInterim: Call['onInterim'] = ({ headers: { location } }) => {
        if (location) onLocation?.(location)
      }
      const options = { ...sent, headers: { ...headers, ...sent.headers }, agent, onInterim }
      const asking = call(`http://127.0.0.1:${line.port}${path}`, options).catch(() => null)
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no response within ${PATIENCE_MS} ms`)), PATIENCE_MS)
      })
      return Promise.race([asking, late]).finally(() => clearTimeout(timer))
    },
  }
}

function clientOf(lane: Lane, n: number): Client {
  const dice = diceOf(`${SEED} ${n}`)
  const size = dice.pick([0, 1, dice.below(3000), dice.below(MiB / 4), dice.below(MiB), dice.below(3 * MiB)])
  const start = dice.below(pool.length - size)
  const content = pool.subarray(start, start + size)
  const name = `round-${n}`
  const kind = dice.pick<Kind>(['tus', 'tus', 'draft', 'put', 'form'])
  const filled = form([{ name: 'file', filename: name, content }])
  return {
    ...{ lane, dice, name, kind, content },
    bytes: kind === 'form' ? (filled.body as Buffer) : content,
    contentType: filled.headers['content-type'] as string,
    path: null,
    acknowledged: 0,
    sent: 0,
    isLengthKnown: false,
    isDone: false,
    isCertain: true,
    told: [],
  }
}

async function upload(client: Client, tally: { requests: number; cuts: number }) {
  const { lane, dice, name, content } = client
  for (let n = 0; !client.isDone; n += 1) {
    expect(n).toBeLessThan(MOST_REQUESTS)
    tally.requests += 1
    const isTroubled = n < TROUBLED && dice.below(5) < 2
    const room = client.bytes.length - client.acknowledged + 900
    const direction = dice.below(3) < 2 ? 'up' : 'down'
    const after = direction === 'up' ? dice.below(room) : dice.below(400)
    const cut = isTroubled ? lane.line.cutAfter(after, direction, dice.pick(['reset', 'end', 'silent'])) : null
    const most = cut && direction === 'up' ? after : Number.POSITIVE_INFINITY
    if (cut) client.told.push(`breaks after ${after} bytes ${direction}`)
    await someRequest(client, most)
    cut?.cancel()
    if (cut?.happened()) tally.cuts += 1
  }
  const file = await lane.ask({ path: `/v1/files/${name}`, call: { headers: {} } })
  expect(file?.status).toBe(200)
  expect(file?.bytes.equals(content), 'the bytes of the file').toBe(true)
  if (!client.path || client.kind === 'form') return
  const end = await lane.ask(asking(dice.pick(DIALECTS), client.path))
  expect(end && [isComplete(end), toldOffset(end)]).toEqual([true, content.length])
}

/** `most` bytes pass at most. */
function someRequest(client: Client, most: number): Promise<void> {
  const { dice, path } = client
  if (!path) return begin(client, most)
  if (!client.isCertain && !dice.oneIn(4)) return askOffset(client, path)
  const choice = dice.below(20)
  if (choice < 2) return askOffset(client, path)
  if (choice < 3) return appendAtWrongOffset(client, path)
  if (choice < 4) return appendWithWrongDigest(client, path)
  if (choice < 6) return appendTwice(client, path)
  return append(client, path, most)
}

async function begin(client: Client, most: number) {
  const { dice, kind, name, bytes, contentType, lane } = client
  const isWhole = dice.oneIn(5)
  const end = isWhole ? bytes.length : dice.below(bytes.length + 1)
  const saysLength = kind === 'tus' ? dice.below(4) > 0 : dice.oneIn(2)
  const piece: Piece = {
    bytes: bytes.subarray(0, end),
    isLast: isWhole || (end === bytes.length && dice.oneIn(2)),
    ...(dice.oneIn(5) && { digest: 'right' }),
    ...(saysLength && { size: bytes.length }),
  }
  const version = dice.pick(DRAFTS)
  const sending = {
    tus: () => beginning('tus', name, piece),
    draft: () => beginning(version, name, piece),
    put: () => beginningByPut(version, name, piece),
    form: () => beginningByForm(version, contentType, piece),
  }[kind]()
  Object.assign(client, { acknowledged: 0, sent: 0, isCertain: true, isLengthKnown: false })
  let heard: string | null = null
  const answer = await lane.ask(sending, (path) => {
    heard = path
  })
  client.told.push(`begin ${end} ${piece.isLast ? 'last' : ''}: ${seen(answer)}`)
  if (!answer) {
    // Only a client that got the location early can go on.
    Object.assign(client, { path: heard, sent: Math.min(end, most), isCertain: false })
    return
  }
  // The response of the first attempt was lost, and the file is there.
  if (answer.status === 409) {
    expect(answer.body).toMatchObject({ code: 'file-exists' })
    client.isDone = true
    return
  }
  expect([200, 201], `${answer.status} ${answer.bytes}`).toContain(answer.status)
  const isFile = isComplete(answer)
  client.path = isFile ? null : (answer.headers.location as string)
  client.isLengthKnown = saysLength || (piece.isLast && kind !== 'tus')
  learn(client, answer, { least: end, most: end })
  expect(client.isDone).toBe(kind === 'tus' ? saysLength && end === bytes.length : piece.isLast)
}

async function append(client: Client, path: string, most: number) {
  const { piece, dialect, offset, end } = somePiece(client)
  const { isCertain } = client
  const answer = await client.lane.ask(appending(dialect, path, offset, piece))
  client.told.push(`${dialect} appends ${offset}–${end} ${piece.isLast ? 'last' : ''}: ${seen(answer)}`)
  client.sent = Math.max(client.sent, offset + Math.min(end - offset, most))
  if (!answer) {
    client.isCertain = false
    return
  }
  if (isCertain) {
    expect([200, 201, 204], `${answer.status} ${answer.bytes}`).toContain(answer.status)
    learn(client, answer, { least: end, most: end })
    if (piece.size !== undefined) client.isLengthKnown = true
  } else if (!isGoneForm(client, answer)) {
    expect([200, 201, 204, 409, 423], `${answer.status} ${answer.bytes}`).toContain(answer.status)
    learn(client, answer)
  }
  // The same append once more, as if its response had been lost.
  if (end > offset && client.dice.oneIn(5) && !client.isDone) {
    const again = await client.lane.ask(appending(dialect, path, offset, piece))
    client.told.push(`the same again: ${seen(again)}`)
    if (!again) client.isCertain = false
    else if (isCertain) {
      expect(again.status).toBe(409)
      expect(again.body).toMatchObject({ code: 'mismatching-upload-offset', 'expected-offset': client.acknowledged })
    }
  }
}

async function appendTwice(client: Client, path: string) {
  const pieces = [somePiece(client), somePiece(client)]
  const sendings = pieces.map(({ dialect, offset, piece }) => appending(dialect, path, offset, piece))
  const answers = await Promise.all(sendings.map((sending) => client.lane.ask(sending)))
  const ends = pieces.map(({ offset, end, piece }) => `${offset}–${end} ${piece.isLast ? 'last' : ''}`)
  client.told.push(`two append ${ends.join(' and ')}: ${answers.map(seen).join(' and ')}`)
  client.sent = Math.max(client.sent, ...pieces.map(({ end }) => end))
  if (answers.some((answer) => answer && isGoneForm(client, answer))) return
  for (const answer of answers) {
    if (answer) expect([200, 201, 204, 409, 423], `${answer.status} ${answer.bytes}`).toContain(answer.status)
    // The offset of either is true at some moment, so the lower one may come last.
    if (answer && isComplete(answer)) client.isDone = true
  }
  const offsets = answers.flatMap((answer) => (answer ? (toldOffset(answer) ?? []) : []))
  for (const offset of offsets) expect(offset).toBeGreaterThanOrEqual(client.acknowledged)
  client.acknowledged = Math.max(client.acknowledged, ...offsets)
  expect(client.acknowledged).toBeLessThanOrEqual(client.sent)
  client.isCertain = false
}

async function appendAtWrongOffset(client: Client, path: string) {
  const { piece, dialect, offset } = somePiece(client)
  const wrong = client.dice.oneIn(2) ? offset + 1 + client.dice.below(1000) : client.dice.below(offset + 1)
  if (wrong === offset) return
  const { size: _, ...unsized } = piece
  const answer = await client.lane.ask(appending(dialect, path, wrong, { ...unsized, bytes: Buffer.from('wrong') }))
  client.told.push(`appends at ${wrong}: ${seen(answer)}`)
  if (!answer || !client.isCertain) return
  expect(answer.status).toBe(409)
  expect(answer.body).toMatchObject({ 'expected-offset': offset, 'provided-offset': wrong })
}

async function appendWithWrongDigest(client: Client, path: string) {
  const { piece, dialect, offset, end } = somePiece(client)
  const { size: _, ...unsized } = piece
  const answer = await client.lane.ask(appending(dialect, path, offset, { ...unsized, digest: 'wrong' }))
  client.told.push(`appends ${offset}–${end} with a wrong digest: ${seen(answer)}`)
  if (!answer || !client.isCertain) return
  expect([answer.status, answer.body]).toMatchObject(
    dialect === 'tus' ? [460, { code: 'checksum-mismatch' }] : [400, { code: 'digest-mismatch' }],
  )
}

async function askOffset(client: Client, path: string) {
  const dialect = client.dice.pick(DIALECTS)
  const answer = await client.lane.ask(asking(dialect, path))
  client.told.push(`${dialect} asks: ${seen(answer)}`)
  if (!answer || isGoneForm(client, answer)) return
  expect(answer.status).toBe(dialect === 'tus' ? 200 : 204)
  learn(client, answer)
  client.isCertain = true
  // A client of tus sends nothing more then.
  const isWhole = client.isLengthKnown && client.acknowledged === client.bytes.length
  if (client.kind === 'tus' && dialect === 'tus' && isWhole) expect(client.isDone).toBe(true)
}

/** The next bytes, by a client of any dialect. The last request is one that completes an upload of this kind. */
function somePiece({ dice, kind, bytes, acknowledged: offset, isLengthKnown }: Client) {
  const left = bytes.length - offset
  const end =
    offset + dice.pick([left, dice.below(left + 1), dice.below((left >> 2) + 1), dice.below(Math.min(left, 2000) + 1)])
  const mustEnd = end === bytes.length && (left === 0 || dice.oneIn(2))
  const dialect = mustEnd && kind !== 'tus' ? dice.pick(DRAFTS) : dice.pick(DIALECTS)
  const isLast = dialect !== 'tus' && mustEnd
  const size = !isLengthKnown && (dice.oneIn(4) || mustEnd) ? bytes.length : undefined
  const piece: Piece = {
    bytes: bytes.subarray(offset, end),
    isLast,
    ...(dice.oneIn(4) && { digest: 'right' }),
    ...(size !== undefined && { size }),
  }
  return { piece, dialect, offset, end }
}

/** A form becomes a file of its own, so its upload is gone then. A client that lost the response sends the form again. */
function isGoneForm(client: Client, { status }: Answer): boolean {
  if (client.kind !== 'form' || status !== 404) return false
  client.path = null
  return true
}

function learn(client: Client, answer: Answer, { least, most } = { least: client.acknowledged, most: client.sent }) {
  const offset = toldOffset(answer)
  client.isDone ||= isComplete(answer)
  if (offset === null) return
  expect(offset).toBeGreaterThanOrEqual(least)
  expect(offset).toBeLessThanOrEqual(most)
  client.acknowledged = offset
  client.sent = Math.max(client.sent, offset)
}

function seen(answer: Answer | null): string {
  if (!answer) return 'no response'
  const { code = '' } = answer.body as { code?: string }
  return `${answer.status} ${code} ${toldOffset(answer) ?? ''}${isComplete(answer) ? ' complete' : ''}`
}

/** Uploads whose creation was not acknowledged are left. */
async function cancelRest(server: ServerProcess, headers: Record<string, string>) {
  const { uploads } = (await server.request('/v1/uploads', { headers })).body as { uploads: { id: string }[] }
  for (const { id } of uploads) {
    expect((await server.request(`/v1/uploads/${id}`, { method: 'DELETE', headers })).status).toBe(204)
  }
}

/** Without a running server: no blob is left that no file names, and what is used adds up. */
async function expectSound(folder: string) {
  expect(await command(folder, ['sweep'])).toMatchObject({ code: 0, report: { garbage: 0 } })
  const { code, report } = await command(folder, ['verify'])
  expect({ code, ...report }).toMatchObject({ code: 0, damaged: [], missing: [], orphans: [], usage: [] })
}
