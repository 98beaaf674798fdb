/** A real nginx before servers, with the shipped configuration. `.ci/servers` names the program. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './app.ts'
import { describeWith, freePort } from './engines.ts'
import { type Answer, type Call, call } from './http.ts'
import { configureNginx } from './nginx-configuration.ts'

const PROGRAM = process.env.TEST_NGINX as string
export const describeNginx = describeWith('nginx', 'TEST_NGINX')

export interface Passage {
  /** A log entry of nginx for a request. */
  method: string
  route: string
  status: number
  /** The servers that nginx tried, in order. */
  servers: string[]
}

export interface Nginx {
  url: string
  request(path: string, options?: Call): Promise<Answer>
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  /** The access log so far: as text, and parsed in `passages`. */
  log(): string
  passages(): Passage[]
  /** The sum of the peak memory of all workers, in bytes. */
  peakMemory(): number
  /** The bytes that the workers have written to disk. */
  written(): number
}

/** `servers` are URLs. nginx trusts no other proxy. The servers trust it with `TRUST_PROXY=127.0.0.1`. */
export function nginxBefore(...servers: string[]): Promise<Nginx> {
  return nginxWith([], servers)
}

/** With further lines in site.conf. */
export async function nginxWith(lines: string[], servers: string[]): Promise<Nginx> {
  const folder = await temporaryFolder()
  const port = await freePort()
  await configureNginx(folder, port, servers, lines)
  // The workers run as another user.
  await chmod(folder, 0o755)
  const output = openSync(join(folder, 'output'), 'w')
  const pid = join(folder, 'pid')
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', `daemon off; pid ${pid};`]
  const child = spawn(PROGRAM, args, { stdio: ['ignore', output, output] })
  closeSync(output)
  onTestFinished(() => end(child))
  const url = `https://127.0.0.1:${port}`
  const request = (path: string, options?: Call) => call(url + path, options)
  await untilListening(url, child, join(folder, 'output'))
  const log = () => readFileSync(join(folder, 'access.log'), 'utf8')
  return {
    url,
    request,
    post: (path, body, headers = {}) =>
      request(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    log,
    passages: () => log().split('\n').filter(Boolean).map(passageOf),
    peakMemory: () => workersOf(child).reduce((sum, pid) => sum + peakOf(pid), 0),
    written: () => Math.max(...workersOf(child).map(writtenBy)),
  }
}

export interface Flood {
  /** The number of requests by status so far. `reset` counts those without a response. */
  tally: Record<string, number>
  end(): void
}

/** Sends requests over HTTP/2 from one address. The client never reads a response body. */
export async function flood(
  url: string,
  requests: number,
  how: { from?: string; fields?: object } = {},
): Promise<Flood> {
  const { from = '127.0.0.1', fields = {} } = how
  const port = Number(new URL(url).port)
  const options = { host: '127.0.0.1', port, localAddress: from, ALPNProtocols: ['h2'], rejectUnauthorized: false }
  const sessions: ClientHttp2Session[] = []
  const tally: Record<string, number> = {}
  const count = (what: string) => {
    tally[what] = (tally[what] ?? 0) + 1
  }
  const end = () => {
    for (const session of sessions) session.destroy()
  }
  onTestFinished(end)
  for (let left = requests; left > 0; ) {
    const session = connectHttp2(url, {
      settings: { initialWindowSize: 0 },
      createConnection: () => connectTls(options),
    })
    sessions.push(session)
    session.on('error', () => {})
    const [{ maxConcurrentStreams }] = await once(session, 'remoteSettings')
    const streams = Math.min(left, maxConcurrentStreams)
    left -= streams
    for (let n = 0; n < streams; n += 1) {
      const request = session.request({ ':path': '/health/live', ...fields })
      request.pause()
      request.on('response', (head) => count(String(head[':status'])))
      request.on('error', () => count('reset'))
    }
  }
  return { tally, end }
}

async function untilListening(url: string, child: ChildProcess, output: string) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${readFileSync(output, 'utf8')}`)
    const failure = await call(`${url}/`).catch((error: { code?: string }) => error.code)
    if (failure !== 'ECONNREFUSED') return
  }
}

async function end(child: ChildProcess) {
  if (child.exitCode !== null) return
  const exited = once(child, 'exit')
  child.kill()
  await exited
}

function passageOf(line: string): Passage {
  const { server, ...passage } = JSON.parse(line)
  return { ...passage, servers: server.split(', ') }
}

function workersOf({ pid }: ChildProcess): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

function peakOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

function writtenBy(pid: number): number {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
}
