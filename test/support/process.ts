/** The built server and commands as processes, as an operator runs them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Answer, type Call, call } from './http.ts'

const root = join(import.meta.dirname, '..', '..')

export interface ServerProcess {
  pid: number
  /** Standard output and error so far. */
  output(): string
  /** Resolves with the URL once the server listens. Rejects if the process ends first. */
  url: Promise<string>
  request(path: string, options?: Call): Promise<Answer>
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Sends the signal and returns the exit code; `null` if the signal killed the process. */
  stop(signal: NodeJS.Signals): Promise<number | null>
  exit: Promise<number | null>
  /** Resident memory in bytes, now and at its highest. */
  memory(): { now: number; peak: number }
}

/** `under` is a command that runs the server, such as `prlimit`. */
export function serverProcess(
  folder: string,
  settings: Record<string, string> = {},
  { under = [] }: { under?: string[] } = {},
): ServerProcess {
  const { child, exit, stop } = launch(
    folder,
    'server',
    [],
    { PORT: '0', SHUTDOWN_GRACE_SECONDS: '8', ...settings },
    under,
  )
  let output = ''
  const url = new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk
      const listening = /listening on (https?:\/\/[^\s"]+)/.exec(output)?.[1]
      if (listening) resolve(listening)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    void exit.then((code) => reject(new Error(`the server ended with ${code}: ${output}`)))
  })
  url.catch(() => {})
  return {
    pid: child.pid as number,
    output: () => output,
    url,
    exit,
    stop,
    request: async (path, options) => call((await url) + path, options),
    post: async (path, body, headers = {}) =>
      call((await url) + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    memory: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
      return { now: kib('VmRSS'), peak: kib('VmHWM') }
    },
  }
}

export interface CommandProcess {
  /** Standard output so far. */
  output(): string
  /** Resolves once the command has ended. */
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>
  stop(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts one of the operator's commands in the folder of a server. */
export function commandProcess(folder: string, args: string[], settings: Record<string, string> = {}): CommandProcess {
  const { child, exit, stop } = launch(folder, 'cli', args, settings)
  const written = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (chunk: Buffer) => {
      written[stream] += chunk
    })
  }
  return { output: () => written.stdout, stop, ended: exit.then((code) => ({ code, ...written })) }
}

/** Runs a command with `--json` to its end. */
export async function command(folder: string, args: string[], settings: Record<string, string> = {}) {
  const { code, stdout, stderr } = await commandProcess(folder, [...args, '--json'], settings).ended
  return { code, stderr, report: JSON.parse(stdout) as Record<string, unknown> }
}

function launch(
  folder: string,
  file: 'server' | 'cli',
  args: string[],
  settings: Record<string, string>,
  under: string[] = [],
) {
  const command = [...under, process.execPath, join(root, 'dist', `${file}.js`), ...args]
  const child: ChildProcess = spawn(command[0] as string, command.slice(1), {
    cwd: folder,
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = once(child, 'close').then(([code]) => code as number | null)
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exit
  }
  onTestFinished(() => void stop('SIGKILL'))
  return { child, exit, stop }
}

/** Registers a user, signs in, and returns the headers of the session. */
export async function signedIn(server: Pick<ServerProcess, 'post'>): Promise<{ authorization: string }> {
  const deviceId = `test-${randomBytes(8).toString('hex')}`
  const email = `${deviceId}@example.org`
  const { pin } = (await server.post('/v1/users', { name: 'Ada', email, deviceId })).body as { pin: string }
  const { token } = (await server.post('/v1/sessions', { deviceId, pin })).body as { token: string }
  return { authorization: `Bearer ${token}` }
}
