/** Measures resumable uploads (tus) and the files that they become, compared with plain ones and with tus-node-server. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { getLarge, putLarge, SETTLE_MS, timed } from './large.ts'
import { type RawRequest, rawCall, rawConnection } from './raw-client.ts'
import type { Compared, Sample } from './report.ts'
import type { Server, TusServer } from './servers.ts'

const MiB = 1024 * 1024
const APPEND_MIB = 8
/** Finishes of a small upload in a round: each takes some milliseconds only. */
const SMALL_FINISHES = 15
const SMALL_MIB = 4
const FEWER = 3
const GIB_MIB = 1024

const block = randomBytes(MiB)
const TUS = { 'tus-resumable': '1.0.0' }
let uploads = 0

export interface UploadServers {
  ours: Server
  tus: TusServer
}

/** The servers take turns, and which one begins changes with each round. */
export async function* uploadsCompared(
  { ours, tus }: UploadServers,
  mib: number,
  rounds: number,
): AsyncGenerator<Compared> {
  const inAppends = (server: Server | TusServer) => () => upload(server, mib)
  await warmUp(inAppends(ours), () => putLarge(ours, mib), inAppends(tus))
  const taken: { ours: Sample; plain: Sample; tus: Sample }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const samples: Partial<Record<'ours' | 'plain' | 'tus', Sample>> = {}
    const turns: ['ours' | 'plain' | 'tus', () => Promise<Sample>][] = [
      ['ours', inAppends(ours)],
      ['plain', () => putLarge(ours, mib)],
      ['tus', inAppends(tus)],
    ]
    turns.push(...turns.splice(0, round % turns.length))
    for (const [name, take] of turns) samples[name] = await take()
    taken.push(samples as Required<typeof samples>)
  }
  for (const [other, name, rateAim, cpuAim] of [
    ['plain', 'a plain PUT', 0.85, 1.15],
    ['tus', 'tus-node-server', 1, 1],
  ] as const) {
    const title = `${mib} MiB by ${APPEND_MIB} / ${name}`
    const rate = taken.map((samples) => ({ one: samples.ours.rate, other: samples[other].rate }))
    yield { title: `${title}, MiB/s`, rounds: rate, aim: ['≥', rateAim] }
    const cpu = taken.map((samples) => ({ one: samples.ours.cpu, other: samples[other].cpu }))
    yield { title: '  CPU s/GiB', rounds: cpu, aim: ['≤', cpuAim] }
  }
  yield await downloads(ours, mib, rounds)
  yield await finishes(ours, mib, Math.min(rounds, FEWER))
}

/** A file of as many appends of 1 MiB, and one that was uploaded in one piece. */
export async function downloads(server: Server, mib: number, rounds: number): Promise<Compared> {
  const paths = { many: '/v1/files/many-appends', one: '/v1/files/one-piece' }
  const path = await begin(server, 'many-appends', mib)
  for (let at = 0; at < mib; at += 1) await append(server, path, at, 1)
  await rawCall(server.port, { method: 'PUT', path: paths.one, headers: server.headers, block, times: mib })
  const take = (path: string) => getLarge(server, mib, path)
  await warmUp(
    () => take(paths.many),
    () => take(paths.one),
  )
  const taken: Compared['rounds'] = []
  for (let round = 0; round < rounds; round += 1) {
    const first = round % 2 === 0 ? await take(paths.one) : null
    const many = await take(paths.many)
    const one = first ?? (await take(paths.one))
    taken.push({ one: many.rate, other: one.rate })
  }
  for (const path of Object.values(paths)) await discard(server, path)
  return { title: `GET of ${mib} appends / one piece, MiB/s`, rounds: taken, aim: ['≥', 0.8] }
}

/**
 * The last append of an upload whose bytes the process has not seen, because it was restarted: it reads all of them back for the
 * SHA-256. Compared with a download of the same file, which also opens all bytes.
 */
export async function readBack(restarted: () => Promise<Server>, mib: number, rounds: number): Promise<Compared> {
  let server = await restarted()
  const taken: Compared['rounds'] = []
  try {
    for (let round = 0; round < rounds; round += 1) {
      const name = `read-back-${round}`
      const path = await begin(server, name, mib)
      for (let at = 0; at < mib - 1; at += APPEND_MIB) {
        await append(server, path, at, Math.min(APPEND_MIB, mib - 1 - at))
      }
      await server.stop()
      server = await restarted()
      await sleep(SETTLE_MS)
      const began = performance.now()
      await append(server, path, mib - 1, 1)
      const one = ((performance.now() - began) / mib) * GIB_MIB
      const { rate } = await getLarge(server, mib, `/v1/files/${name}`)
      taken.push({ one, other: (1000 / rate) * GIB_MIB })
      await discard(server, `/v1/files/${name}`)
    }
  } finally {
    await server.stop()
  }
  return { title: `end after a restart / a GET, ms/GiB`, rounds: taken, aim: ['≤', 2] }
}

/** The last append of a large upload compared with that of a small one. */
async function finishes(server: Server, mib: number, rounds: number): Promise<Compared> {
  const large = 4 * mib
  await finish(server, SMALL_MIB)
  const taken: Compared['rounds'] = []
  for (let round = 0; round < rounds; round += 1) {
    const small: number[] = []
    for (let n = 0; n < SMALL_FINISHES; n += 1) small.push(await finish(server, SMALL_MIB))
    const other = small.sort((a, b) => a - b)[SMALL_FINISHES >> 1] as number
    taken.push({ one: await finish(server, large), other })
  }
  return { title: `end of ${large} MiB / of ${SMALL_MIB} MiB, ms`, rounds: taken, aim: ['≤', 1.5] }
}

/** Milliseconds of the last append, which has 1 MiB. */
async function finish(server: Server, mib: number): Promise<number> {
  const name = `finish-${++uploads}`
  const path = await begin(server, name, mib)
  for (let at = 0; at < mib - 1; at += APPEND_MIB) await append(server, path, at, Math.min(APPEND_MIB, mib - 1 - at))
  await sleep(SETTLE_MS)
  const began = performance.now()
  await append(server, path, mib - 1, 1)
  const ms = performance.now() - began
  await discard(server, `/v1/files/${name}`)
  return ms
}

/** Of our server, the file is discarded afterwards; of the other one, the upload. */
async function upload(server: Server | TusServer, mib: number): Promise<Sample> {
  const name = `resumable-${++uploads}`
  let path = ''
  // As clients do, over one connection.
  const connection = rawConnection(server.port)
  const sample = await timed(server, mib, async () => {
    path = await begin(server, name, mib)
    for (let at = 0; at < mib; at += APPEND_MIB) {
      await connection.call(appending(server, path, at, Math.min(APPEND_MIB, mib - at)))
    }
  })
  connection.close()
  if (server.name === 'ours') await discard(server, `/v1/files/${name}`)
  else await rawCall(server.port, { method: 'DELETE', path, headers: TUS })
  await sleep(SETTLE_MS)
  return sample
}

async function begin(server: Server | TusServer, name: string, mib: number): Promise<string> {
  const metadata = `filename ${Buffer.from(name).toString('base64')}`
  const headers = { ...server.headers, ...TUS, 'upload-length': String(mib * MiB), 'upload-metadata': metadata }
  const { status, headers: fields } = await fetch(`http://127.0.0.1:${server.port}/v1/uploads`, {
    method: 'POST',
    headers,
  })
  if (status !== 201) throw new Error(`${server.name}: ${status}`)
  return fields.get('location') as string
}

function append(server: Server | TusServer, path: string, atMib: number, mib: number): Promise<number> {
  return rawCall(server.port, appending(server, path, atMib, mib))
}

function appending(server: Server | TusServer, path: string, atMib: number, mib: number): RawRequest {
  const type = { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(atMib * MiB) }
  return { method: 'PATCH', path, headers: { ...server.headers, ...TUS, ...type }, block, times: mib }
}

/** Frees the disk. */
async function discard(server: Server, path: string): Promise<void> {
  await rawCall(server.port, { method: 'PUT', path: `${path}?replaced=discard`, headers: server.headers })
  await sleep(SETTLE_MS)
}

/** Not counted. */
async function warmUp(...warming: (() => Promise<unknown>)[]): Promise<void> {
  for (const take of warming) await take()
}
