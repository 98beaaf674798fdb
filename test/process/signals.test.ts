import { readFileSync } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'

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
