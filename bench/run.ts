/**
 * Compares this server with a bare `node:http` server that does the same work, with the bare server without sealing, and with
 * nginx if it is installed. Rounds alternate between the servers, so that other load of the machine affects all of them. The
 * result is the ratio within a round. Then compares resumable uploads with plain ones, and a backup by the client with raw
 * requests. Then measures on this server only: the memory of sixteen parallel large uploads, the list of very many files, and
 * the waits of another user meanwhile. Then compares two processes behind nginx with one, and measures the size of rows in
 * PostgreSQL.
 *
 *   npm run bench                  everything
 *   npm run bench -- put get       only the measurements with these names
 *
 * `BENCH_ROUNDS` (5), `BENCH_MIB` (1024, of a large file), `BENCH_SECONDS` (5, for a round of small requests), `BENCH_FILES`
 * (2,000, of a backup) and `BENCH_ROWS` (1,000,000, of the list) make it shorter.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { backupCompared } from './backup.ts'
import { newBucket } from './bucket.ts'
import { bystanding } from './bystander.ts'
import { clusterRates } from './cluster.ts'
import { databaseRows } from './database-rows.ts'
import { MANY, putMany } from './large.ts'
import { listing } from './listing.ts'
import { type Extent, type Measure, measuresOf } from './measures.ts'
import {
  blockHeading,
  blockLine,
  clusterHeading,
  clusterLine,
  comparedHeading,
  comparedLine,
  growthLine,
  heading,
  lookupLine,
  lookupsHeading,
  measureLines,
  pagesHeading,
  pagesLine,
  peakLine,
  type Round,
  rowsLines,
} from './report.ts'
import { bareServer, nginxServer, onPath, ourServer, type Server, tusServer } from './servers.ts'
import { startsCompared } from './starts.ts'
import { thumbnailsCompared } from './thumbnails.ts'
import { downloads, readBack, uploadsCompared } from './uploads.ts'
import { WAITERS, waiting } from './waiting.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 5)
const files = Number(process.env.BENCH_FILES ?? 2000)
const rows = Number(process.env.BENCH_ROWS ?? 1_000_000)
const appends = Number(process.env.BENCH_APPENDS ?? 10_000)
const full: Extent = { mib: Number(process.env.BENCH_MIB ?? 1024), seconds: Number(process.env.BENCH_SECONDS ?? 5) }
/** Warm-up that is not counted: optimising the code and creating folders are no cost of a running server. */
const warmUp: Extent = { mib: Math.min(128, full.mib), seconds: Math.min(3, full.seconds / 2) }
/** For two pages in turn. Each page costs about a millisecond. */
const pageSeconds = Math.min(1, full.seconds / 2)
/** The same variables as for the tests. */
const { TEST_DATABASE_URL: database, TEST_REDIS_URL: redis } = process.env
const s3 = {
  endpoint: process.env.TEST_S3_ENDPOINT ?? '',
  accessKeyId: process.env.TEST_S3_ACCESS_KEY_ID ?? '',
  secretAccessKey: process.env.TEST_S3_SECRET_ACCESS_KEY ?? '',
}
const MEMORY_AIM_MIB = 200
const PAGES_AIM = 1.3
const WAITING_AIM_MIB = 30
const CLUSTER_AIM = 1.3
const BLOCK_AIM_MS = 50
const LOOKUP_AIM_MS = 30
const GALLERY_FILES = 50_000

const measures = measuresOf(full)
const named = process.argv.slice(2)
const known = [
  ...measures.map(({ name }) => name),
  'uploads',
  'appends',
  'backup',
  'thumbnails',
  'memory',
  'start',
  'list',
  'waiting',
  'gallery',
  'bystander',
  'cluster',
  'rows',
]
const unknown = named.filter((name) => !known.includes(name))
if (unknown.length > 0) throw new Error(`there is no ${unknown.join(', ')}, but ${known.join(', ')}`)
const isChosen = (name: string) => named.length === 0 || named.includes(name)

execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
const folder = mkdtempSync(join(tmpdir(), 'minikeepsafe-bench-'))
try {
  print(preamble())
  const chosen = measures.filter(({ name }) => isChosen(name))
  if (chosen.length > 0) await compare(chosen)
  if (isChosen('uploads')) await measureUploads()
  if (isChosen('appends')) await measureAppends()
  if (isChosen('backup')) await measureBackup()
  if (isChosen('thumbnails')) await measureThumbnails()
  if (isChosen('memory')) await measureMemory()
  if (isChosen('start')) await measureStart()
  if (isChosen('list')) await measureList()
  if (isChosen('waiting')) await measureWaiting()
  if (isChosen('gallery')) measureGallery()
  if (isChosen('bystander')) await measureBystander()
  if (isChosen('cluster')) await measureCluster()
  if (isChosen('rows')) await measureRows()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function compare(chosen: Measure[]) {
  const servers: Server[] = []
  try {
    servers.push(await ourServer(join(folder, 'ours')))
    servers.push(await bareServer(join(folder, 'bare'), 'bare'), await bareServer(join(folder, 'copying'), 'copying'))
    const nginx = await nginxServer(join(folder, 'nginx'))
    if (nginx) servers.push(nginx)
    else print('nginx: not installed, so left out.\n')
    print(`\n${heading}`)
    let memory = ''
    for (const measure of chosen) {
      const taken = await interleaved(measure, servers)
      print(measureLines(measure.title, measure.cpuUnit, measure.aims, taken))
      if (measure.memory) memory += growthLine(measure.memory, taken)
    }
    print(`\n${memory}`)
  } finally {
    for (const server of servers) await server.stop()
  }
}

/** The first server is the last one in the next round, so no server always runs after the same other one. */
async function interleaved({ prepare, ours, bare = ours, beside }: Measure, servers: Server[]): Promise<Round[]> {
  const run = { ours, bare, copying: ours, nginx: ours }
  const taking: Server['name'][] = ['ours', 'bare', ...beside]
  const order = servers.filter(({ name }) => taking.includes(name))
  for (const server of order) {
    await prepare?.(server)
    await run[server.name](server, warmUp)
  }
  const taken: Round[] = []
  for (let round = 0; round < rounds; round += 1) {
    const samples: Round = {}
    for (const server of order) samples[server.name] = await run[server.name](server, full)
    taken.push(samples)
    order.push(...order.splice(0, 1))
  }
  return taken
}

async function measureUploads() {
  const ours = await ourServer(join(folder, 'uploads-ours'))
  try {
    const tus = await tusServer(join(folder, 'uploads-tus'))
    try {
      print(comparedHeading('resumable uploads'))
      for await (const compared of uploadsCompared({ ours, tus }, full.mib, rounds)) print(comparedLine(compared))
    } finally {
      await tus.stop()
    }
  } finally {
    await ours.stop()
  }
}

async function measureAppends() {
  const home = join(folder, 'appends')
  const first = await ourServer(home)
  print(comparedHeading('uploads of very many appends'))
  print(comparedLine(await downloads(first, appends, rounds)))
  await first.stop()
  print(comparedLine(await readBack(() => ourServer(home, first.headers), full.mib * 4, rounds)))
  rmSync(home, { recursive: true })
  if (!s3.endpoint) return print('TEST_S3_ENDPOINT is not set, so S3 is left out (.ci/servers).\n')
  const bucket = await newBucket(s3)
  const server = await ourServer(home, undefined, bucket.settings)
  try {
    print(comparedLine(await downloads(server, appends, rounds)))
  } finally {
    await server.stop()
    await bucket.remove()
  }
}

async function measureBackup() {
  const home = join(folder, 'backup')
  const server = await ourServer(home)
  try {
    print(comparedHeading('the client, files/s'))
    print(comparedLine(await backupCompared(server, home, files, rounds)))
  } finally {
    await server.stop()
    rmSync(home, { recursive: true })
  }
}

async function measureThumbnails() {
  const server = await ourServer(join(folder, 'thumbnails'))
  try {
    print(comparedHeading('thumbnails'))
    for await (const compared of thumbnailsCompared(server, rounds, full.seconds)) print(comparedLine(compared))
  } finally {
    await server.stop()
  }
}

/** On a new server, so that memory of earlier requests is not counted. */
async function measureMemory() {
  const server = await ourServer(join(folder, 'memory'))
  try {
    const { memory } = await putMany(server, full.mib)
    print(peakLine(`${MANY} PUTs of ${full.mib} MiB at once`, memory, MEMORY_AIM_MIB))
  } finally {
    await server.stop()
    rmSync(join(folder, 'memory'), { recursive: true })
  }
}

async function measureStart() {
  print(comparedHeading(`start on ${rows.toLocaleString('en')} files: ours / bare`))
  for (const compared of await startsCompared(join(folder, 'start'), rows, rounds)) print(comparedLine(compared))
}

async function measureList() {
  const { measured, lookups, bytesPerRow } = await listing(join(folder, 'list'), rows, rounds, pageSeconds)
  print(pagesHeading(rows))
  for (const pages of measured) print(pagesLine(pages, PAGES_AIM))
  print(lookupsHeading)
  for (const one of lookups) print(lookupLine(one, LOOKUP_AIM_MS))
  print(`the database: ${bytesPerRow.toFixed(0)} bytes for each\n`)
}

async function measureWaiting() {
  const server = await ourServer(join(folder, 'waiting'))
  try {
    const { growthMib, cpuMsPerSecond, wakeMs } = await waiting(server, full.seconds)
    const memory = growthMib === null ? 'n/a' : `${growthMib.toFixed(1)} MiB (aim ≤ ${WAITING_AIM_MIB})`
    print(`\n${WAITERS} clients that wait for changes: ${memory}, ${cpuMsPerSecond.toFixed(2)} ms of CPU a second; `)
    print(`a change of one of four users is with all its clients in ${wakeMs.toFixed(0)} ms\n`)
  } finally {
    await server.stop()
  }
}

/** A program of its own, because it is compiled for browsers. */
function measureGallery() {
  const program = ['--import', 'tsx', 'web/bench/gallery.ts', String(Math.min(rows, GALLERY_FILES))]
  execFileSync(process.execPath, program, { stdio: 'inherit' })
}

async function measureBystander() {
  print(blockHeading(rows))
  for await (const block of bystanding(join(folder, 'bystander'), rows)) print(blockLine(block, BLOCK_AIM_MS))
}

async function measureCluster() {
  if (!database || !redis || !onPath('nginx') || !onPath('wrk')) {
    return print('\ncluster: left out; it needs nginx, wrk, TEST_DATABASE_URL and TEST_REDIS_URL (see .ci/servers).\n')
  }
  const sides = await clusterRates(join(folder, 'cluster'), { database, redis }, rounds, full.seconds)
  print(clusterHeading)
  for (const side of sides) print(clusterLine(side, CLUSTER_AIM))
}

async function measureRows() {
  if (!database) return print('\nrows: left out; they need TEST_DATABASE_URL (see .ci/servers).\n')
  print(rowsLines(rows, await databaseRows(database, rows)))
}

function preamble(): string {
  return [
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.version}`,
    `${rounds} rounds, ${full.seconds} s each of small requests over 64 connections; files in ${tmpdir()}`,
    'ours: node dist/server.js with LOG_LEVEL=error. bare: node:http that hashes, seals, syncs and looks up the same.',
    'copying: the bare one without hash and seal. nginx: DAV PUT and static GET, one worker, which does not sync either.',
    '',
  ].join('\n')
}

function print(text: string) {
  process.stdout.write(text)
}
