/** The backup command as a process. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, onTestFinished } from 'vitest'

/** Builds the command once for the tests of a file. Its result starts it. */
export function backupCommand() {
  let home = ''
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'minikeepsafe-backup-'))
    const entry = join(import.meta.dirname, '../src/backup/main.ts')
    const outfile = join(home, 'backup.mjs')
    await build({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile })
  })
  afterAll(() => rm(home, { recursive: true, force: true }))

  /** `config` is the folder of its settings. `onLine` gets each line of its output. */
  return function start(config: string, args: string[], onLine: (line: string) => void = () => {}) {
    const env = { PATH: process.env.PATH, XDG_CONFIG_HOME: config }
    const child = spawn(process.execPath, [join(home, 'backup.mjs'), ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const written = { stdout: '', stderr: '' }
    child.stderr.on('data', (chunk: Buffer) => {
      written.stderr += chunk
    })
    child.stdout.on('data', (chunk: Buffer) => {
      written.stdout += chunk
      for (const line of String(chunk).split('\n')) if (line !== '') onLine(line)
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, ...written }))
    return { ended, kill: (signal: NodeJS.Signals) => child.kill(signal) }
  }
}

/** How many files the last line says were sent. */
export const sentIn = ({ stdout }: { stdout: string }) => Number(/files: (\d+) sent/.exec(stdout)?.[1])

/** A file with this many random bytes. */
export async function fill(folder: string, path: string, size: number): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), randomBytes(size))
}
