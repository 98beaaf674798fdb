/** A disk that does not finish a sync: new uploads are refused, reads go on, and nothing is lost. strace delays the calls. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { describeWithProgram } from '../support/programs.ts'

/** Far longer than the test. The database calls fdatasync, so only folders of blobs are slow. */
const DELAY = ['-f', '-qq', '-e', 'trace=fsync', '-e', 'inject=fsync:delay_enter=600s']

describeWithProgram('strace', 'strace')('a server whose disk is slow', () => {
  it('refuses new uploads, answers reads, and finishes what it had accepted', async () => {
    const server = serverProcess(await temporaryFolder())
    const headers = await signedIn(server)
    const put = (name: string) => server.request(`/v1/files/${name}`, { method: 'PUT', headers, body: 'bytes' })
    expect((await put('before')).status).toBe(201)

    const strace = spawn('strace', [...DELAY, '-p', String(server.pid)], { stdio: 'ignore' })
    onTestFinished(() => void strace.kill('SIGKILL'))
    await once(strace, 'spawn')
    const accepted: Promise<{ status: number }>[] = []
    const refused = async () => {
      const sent = put(`during-${accepted.length}`)
      accepted.push(sent)
      const late = new Promise<null>((resolve) => setTimeout(resolve, 500, null))
      const answer = await Promise.race([sent, late])
      return answer?.status === 503 ? answer : null
    }
    await expect.poll(refused, { timeout: 30_000, interval: 500 }).toBeProblem(503, 'not-ready')
    const again = await put('again')
    expect(again).toBeProblem(503, 'not-ready')
    expect(Number(again.headers['retry-after'])).toBeGreaterThan(0)
    const read = await server.request('/v1/files/before', { headers })
    expect([read.status, read.body]).toEqual([200, 'bytes'])
    expect(server.output()).toContain('the disk falls behind: new uploads are refused')

    strace.kill()
    await once(strace, 'exit')
    await expect.poll(async () => (await put('after')).status, { timeout: 10_000 }).toBe(201)
    const statuses = (await Promise.all(accepted)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([201, 503]))
    expect(await server.stop('SIGTERM')).toBe(0)
  })
})
