/**
 * This server beside a bare `node:http` server that does the same work, and beside nginx where it is installed. Rounds
 * alternate between them, so that whatever else the machine does falls on all; what counts is the ratio within a round.
 *
 *   npm run bench                  everything, in about five minutes
 *   npm run bench -- put get       only the measures of these names
 *
 * `BENCH_ROUNDS` (5), `BENCH_MIB` (1024) and `BENCH_SECONDS` (5, for a round of small requests) make it shorter.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { getLarge, postLarge, prepareLarge, putLarge } from './large.ts'
import { heading, measureLines, memoryLine, type Round, type Sample } from './report.ts'
import { bareServer, nginxServer, ourServer, type Server } from './servers.ts'
import { getSmall, prepareSmall, putSmall, signUp } from './small.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 5)
const full: Extent = { mib: Number(process.env.BENCH_MIB ?? 1024), seconds: Number(process.env.BENCH_SECONDS ?? 5) }
/** Not counted: a compiler that learns and folders that are new are not what a server costs. */
const warmUp: Extent = { mib: 128, seconds: Math.min(3, full.seconds) }
const chosen = process.argv.slice(2)

interface Extent {
  /** Of a large file. */
  mib: number
  /** Of small requests. */
  seconds: number
}

type Act = (server: Server, extent: Extent) => Promise<Sample>

interface Measure {
  name: string
  title: string
  cpuUnit: 's/GiB' | 'ms/request' | 'ms/pair'
  /** The least ratio of our rate to the bare server's that we mean to keep. */
  aim: number
  ours: Act
  /** Where it is not what ours does. */
  bare?: Act
  nginx: boolean
  prepare?: (server: Server) => Promise<void>
  memory?: string
}

const put: Act = (server, { mib }) => putLarge(server, mib)
const measures: Measure[] = [
  {
    name: 'put',
    title: `PUT of ${full.mib} MiB, MiB/s`,
    cpuUnit: 's/GiB',
    aim: 0.85,
    ours: put,
    nginx: true,
    memory: 'Memory added by a PUT',
  },
  {
    name: 'form',
    title: 'form of the same, beside a bare PUT',
    cpuUnit: 's/GiB',
    aim: 0.6,
    ours: (server, { mib }) => postLarge(server, mib),
    bare: put,
    nginx: false,
    memory: 'Memory added by a form',
  },
  {
    name: 'get',
    title: `GET of ${full.mib} MiB, MiB/s`,
    cpuUnit: 's/GiB',
    aim: 0.85,
    ours: (server) => getLarge(server, full.mib),
    prepare: (server) => prepareLarge(server, full.mib),
    nginx: true,
  },
  {
    name: 'put-small',
    title: 'PUT of 20 KiB, requests/s',
    cpuUnit: 'ms/request',
    aim: 0.7,
    ours: (server, { seconds }) => putSmall(server, seconds),
    nginx: true,
  },
  {
    name: 'get-small',
    title: 'GET of 20 KiB, requests/s',
    cpuUnit: 'ms/request',
    aim: 0.7,
    ours: (server, { seconds }) => getSmall(server, seconds),
    prepare: prepareSmall,
    nginx: true,
  },
  {
    name: 'sign-up',
    title: 'register + sign-in, pairs/s',
    cpuUnit: 'ms/pair',
    aim: 0.7,
    ours: (server, { seconds }) => signUp(server, seconds),
    nginx: false,
  },
]

execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
const folder = mkdtempSync(join(tmpdir(), 'minikeepsafe-bench-'))
const servers: Server[] = []
try {
  servers.push(await ourServer(join(folder, 'ours')), await bareServer(join(folder, 'bare')))
  const nginx = await nginxServer(join(folder, 'nginx'))
  if (nginx) servers.push(nginx)
  await measureAll()
} finally {
  for (const server of servers) await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function measureAll() {
  print(preamble())
  print(heading)
  let memory = ''
  for (const measure of measures) {
    if (chosen.length > 0 && !chosen.includes(measure.name)) continue
    const taken = await interleaved(measure)
    print(measureLines(measure.title, measure.cpuUnit, measure.aim, taken))
    if (measure.memory) memory += memoryLine(measure.memory, taken)
  }
  print(memory)
}

/** The first goes last in the next round: nobody is always the one who finds the machine as another left it. */
async function interleaved({ prepare, ours, bare = ours, nginx }: Measure): Promise<Round[]> {
  const run = { ours, bare, nginx: ours }
  const order = servers.filter(({ name }) => nginx || name !== 'nginx')
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

function preamble(): string {
  const hasNginx = servers.some(({ name }) => name === 'nginx')
  return [
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.version}`,
    `${rounds} rounds, ${full.seconds} s each of small requests over 64 connections; files in ${tmpdir()}`,
    'ours: node dist/server.js with LOG_LEVEL=warn. bare: node:http that hashes, syncs and looks up the same.',
    hasNginx
      ? 'nginx: DAV PUT and static GET, one worker, for reference: it neither hashes nor syncs nor asks who you are.'
      : 'nginx: not installed, so left out.',
    '\n',
  ].join('\n')
}

function print(text: string) {
  process.stdout.write(text)
}
