/** Starts the compared servers as processes, and reads their CPU time and memory from the system. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { rawCall } from './raw-client.ts'

const START_MS = 30_000
/** `getconf CLK_TCK`, which is constant on Linux. */
const TICKS_PER_SECOND = 100

export interface Server {
  name: 'ours' | 'bare' | 'copying' | 'nginx'
  port: number
  pid: number
  headers: Record<string, string>
  stop(): Promise<void>
}

/** A process that has just given its first response. */
export interface Booted {
  /** Milliseconds from the start of the process to its first response. */
  firstMs: number
  /** Its CPU time so far, in milliseconds; `null` if the system does not report it. */
  cpuMs(): number | null
  /** Its resident memory now; `null` if the system does not report it. */
  memoryMib(): number | null
  stop(): Promise<void>
}

/** Both read the database in this folder of an earlier `ourServer`. */
export const bootOurs = (folder: string) => boot(['dist/server.js'], settingsOf(folder))
export const bootBare = (folder: string) => boot(['bench/bare-start.js'], { DATA_DIR: dataFolder(folder) })

async function boot(args: string[], settings: Record<string, string>): Promise<Booted> {
  const port = await freePort()
  const began = performance.now()
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...settings, PORT: String(port) },
    stdio: ['ignore', 2, 2],
  })
  const pid = child.pid as number
  const answered = () => rawCall(port, { method: 'GET', path: '/health/ready', headers: {} }).then(Boolean, () => false)
  while (!(await answered())) {
    if (child.exitCode !== null) throw new Error('the server did not start')
    await sleep(2)
  }
  return {
    firstMs: performance.now() - began,
    cpuMs: () => {
      const seconds = cpuSeconds(pid)
      return seconds === null ? null : seconds * 1000
    },
    memoryMib: () => residentMib(pid, 'VmRSS'),
    stop: () => end(child),
  }
}

/** This server, built before. With the headers of a session it continues in the folder of an earlier run. */
export async function ourServer(
  folder: string,
  session?: Server['headers'],
  settings: Record<string, string> = {},
): Promise<Server> {
  const server = await start('ours', process.execPath, ['dist/server.js'], { ...settingsOf(folder), ...settings })
  return { ...server, headers: session ?? (await signedIn(server.port)) }
}

const settingsOf = (folder: string) => ({
  DATA_DIR: dataFolder(folder),
  UPLOADS_DIR: join(folder, 'uploads'),
  LOG_LEVEL: 'error',
  RATE_LIMIT: 'off',
  QUOTA_FILES: '10000000',
  // Rows that a measurement inserts have no blobs, so they would be read back as damaged.
  SCRUB_DAYS: '0',
})

/** The same on other engines, without a session. */
export async function serverWith(settings: Record<string, string>): Promise<Server> {
  return { ...(await start('ours', process.execPath, ['dist/server.js'], settings)), headers: {} }
}

/** nginx with a configuration for this port. */
export function startNginx(folder: string, prepare: (port: number) => Promise<void>) {
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-g', `daemon off; pid ${folder}/pid;`]
  return start('nginx', onPath('nginx') as string, args, {}, prepare)
}

/** The folder of the database of `ourServer`. */
export const dataFolder = (folder: string) => join(folder, 'data')

/** The bare server; with `copying` without hash and seal. */
export async function bareServer(folder: string, name: 'bare' | 'copying'): Promise<Server> {
  mkdirSync(folder)
  const settings = { FOLDER: folder, ...(name === 'copying' && { COPYING: 'yes' }) }
  const server = await start(name, process.execPath, ['--import', 'tsx', 'bench/bare-server.ts'], settings)
  return { ...server, headers: await signedIn(server.port) }
}

export type TusServer = Omit<Server, 'name'> & { name: 'tus' }

/** tus-node-server, without sessions. */
export async function tusServer(folder: string): Promise<TusServer> {
  mkdirSync(folder)
  const server = await start('tus', process.execPath, ['--import', 'tsx', 'bench/tus-server.ts'], { FOLDER: folder })
  return { ...server, headers: {} }
}

/** `null` if nginx is not installed. One worker, because the other servers are one process, too. */
export async function nginxServer(folder: string): Promise<Server | null> {
  const nginx = onPath('nginx')
  if (!nginx) return null
  mkdirSync(join(folder, 'files'), { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const config = (port: number) => `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
    events { worker_connections 1024; }
    http {
      access_log off; keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 64k;
      ${temporary.map((kind) => `${kind}_temp_path ${kind};`).join(' ')}
      server { listen 127.0.0.1:${port}; root files; location / { dav_methods PUT; create_full_put_path on; } }
    }`
  const prepare = (port: number) => writeFileSync(join(folder, 'nginx.conf'), config(port))
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
  return { ...(await start('nginx', nginx, args, {}, prepare)), headers: {} }
}

/** The CPU seconds of the server and its children; `null` if the system does not report them. */
export function cpuSeconds(pid: number): number | null {
  try {
    // The name, in parentheses, may hold spaces; user and system time are the 14th and 15th field.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const own = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
    return children.reduce((sum, child) => sum + (cpuSeconds(Number(child)) ?? 0), own)
  } catch {
    return null
  }
}

/** The CPU milliseconds of the server's main thread, exact once it is idle. The current time if the system does not report them. */
export function mainThreadMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

/** In MiB. */
export interface Memory {
  /** The peak of resident memory. */
  peak: number
  /** The growth from the resident memory before the measurement to the peak. */
  growth: number
}

/** Starts to measure the server's memory. The returned function gives the result, or `null` if the system does not report it. */
export function watchMemory(pid: number): () => Memory | null {
  try {
    // Resets the peak to the resident memory now (proc(5)).
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
    const before = residentMib(pid, 'VmRSS') ?? 0
    return () => {
      const peak = residentMib(pid, 'VmHWM') ?? 0
      return { peak, growth: peak - before }
    }
  } catch {
    return () => null
  }
}

/** Resident memory, now or at its peak; `null` if the system does not report it. */
function residentMib(pid: number, field: 'VmRSS' | 'VmHWM'): number | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  } catch {
    return null
  }
}

async function start<Name extends string>(
  name: Name,
  command: string,
  args: string[],
  settings: Record<string, string>,
  prepare: (port: number) => void | Promise<void> = () => {},
): Promise<Omit<Server, 'headers' | 'name'> & { name: Name }> {
  const port = await freePort()
  await prepare(port)
  const env = { ...process.env, ...settings, PORT: String(port) }
  // Its log goes to stderr: a server that ends early says why.
  const child = spawn(command, args, { env, stdio: ['ignore', 2, 2] })
  const stop = () => end(child)
  // The server ends with this process in any case.
  const kill = () => child.kill()
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  await untilListening(name, child, port)
  return { name, port, pid: child.pid as number, stop }
}

async function untilListening(name: string, child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + START_MS
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} did not start`)
    // Any response means that the server is ready, even an error. A connection without one does not: our server tries
    // its port before it opens the vault.
    const answered = await rawCall(port, { method: 'GET', path: '/', headers: {} }).then(
      () => true,
      (error: Error) => /^(unexpected answer|no Content-Length)/.test(error.message),
    )
    if (answered) return
    await sleep(50)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill()
  await exited
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** Registers, signs in, and returns the header of the session. */
export async function signedIn(port: number, who = 'bench'): Promise<Record<string, string>> {
  const deviceId = `${who}-0123456789abcdef`
  const { pin } = await post(port, '/v1/users', { name: 'Bench', email: `${who}@example.org`, deviceId })
  const { token } = await post(port, '/v1/sessions', { deviceId, pin })
  return { authorization: `Bearer ${token}` }
}

async function post(port: number, path: string, body: object): Promise<Record<string, string>> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${path} answered ${response.status}`)
  return (await response.json()) as Record<string, string>
}

export function onPath(program: string): string | null {
  const isExecutable = (path: string) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  const paths = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, program))
  return paths.find(isExecutable) ?? null
}
