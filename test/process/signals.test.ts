import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir, truncate } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'

const program = join(import.meta.dirname, '..', '..', 'dist', 'server.js')

describe('SIGHUP', () => {
  it('does not stop a server without a terminal, such as a service', async () => {
    const server = serverProcess(await temporaryFolder())
    await server.url
    process.kill(server.pid, 'SIGHUP')
    await expect.poll(server.output, { timeout: 20_000 }).toContain('ignoring SIGHUP')
    expect((await server.request('/health/ready')).status).toBe(200)
    expect(await server.stop('SIGTERM')).toBe(0)
  })

  it('closes a server cleanly whose terminal is closed', async () => {
    const folder = await temporaryFolder()
    const { PATH } = process.env
    const terminal = spawn('script', ['-qfc', `exec '${process.execPath}' '${program}'`, '/dev/null'], {
      cwd: folder,
      env: { PATH, SHELL: '/bin/sh', PORT: '0' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void terminal.kill('SIGKILL'))
    let output = ''
    terminal.stdout.on('data', (chunk: Buffer) => (output += chunk))
    await expect.poll(() => output, { timeout: 20_000 }).toContain('listening on')
    const [, pid] = /(\d+)/.exec(readFileSync(`/proc/${terminal.pid}/task/${terminal.pid}/children`, 'utf8')) ?? []
    onTestFinished(() => void killIfThere(Number(pid)))
    expect(await readdir(join(folder, 'data'))).toContain('minikeepsafe.db-wal')
    terminal.kill('SIGKILL')
    await once(terminal, 'exit')
    await expect.poll(() => isRunning(Number(pid)), { timeout: 20_000 }).toBe(false)
    expect(await readdir(join(folder, 'data'))).not.toContain('minikeepsafe.db-wal')
  })
})

describe('a signal that a defect of the process raises', () => {
  it('has no listener, which would run the failed instruction again forever', async () => {
    const server = serverProcess(await temporaryFolder())
    await server.url
    const [, mask = ''] = /^SigCgt:\s+(\w+)$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? []
    const { SIGINT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTRAP } = constants.signals
    const isCaught = (signal: number) => (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n
    expect(isCaught(SIGINT)).toBe(true)
    expect([SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGTRAP].filter(isCaught)).toEqual([])
    // Node has a handler of its own for SIGSEGV, which ends the process.
    expect(await server.stop('SIGSEGV')).toBeNull()
  })

  it("ends the process when SQLite's shared memory fails, so that a supervisor can start it again", async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    await truncate(join(folder, 'data', 'minikeepsafe.db-shm'), 0)
    await server.request('/v1/files', { headers }).catch(() => {})
    expect(await server.exit).toBeNull()
    expect((await serverProcess(folder).request('/v1/files', { headers })).status).toBe(200)
  })
})

function killIfThere(pid: number) {
  if (isRunning(pid)) process.kill(pid, 'SIGKILL')
}

/** A process that has ended may stay as a zombie until its parent collects it. */
function isRunning(pid: number) {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
