import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { call } from '../support/http.ts'
import { command, serverProcess, signedIn } from '../support/process.ts'

const program = join(import.meta.dirname, '..', '..', 'dist', 'server.js')

describe('a server whose log is read through a pipe', () => {
  it('goes on after its reader is gone, and closes cleanly', async () => {
    const { server, url } = await started()
    server.stdout?.destroy()
    for (let lines = 0; lines < 3; lines++) expect((await call(`${url}/nothing`)).status).toBe(404)
    server.kill('SIGTERM')
    expect(await once(server, 'exit')).toEqual([0, null])
  })

  it('loses lines while its reader does not read, so that they fill no memory, and says later how many', async () => {
    const { server, url } = await started()
    server.stdout?.pause()
    const agent = new Agent({ keepAlive: true, maxSockets: 8 })
    onTestFinished(() => agent.destroy())
    // About 200 bytes each: more than the pipe and the server keep.
    await Promise.all(Array.from({ length: 8000 }, () => ask(`${url}/nothing`, agent)))
    let log = ''
    server.stdout?.on('data', (chunk: Buffer) => (log += chunk)).resume()
    await expect
      .poll(
        async () => {
          await call(`${url}/nothing`)
          return log
        },
        { timeout: 20_000 },
      )
      .toMatch(/"msg":"\d+ lines of the log were lost: nothing read them"/)
    for (const line of log.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    server.kill('SIGTERM')
    expect(await once(server, 'exit')).toEqual([0, null])
  })
})

describe('a command whose messages nobody reads', () => {
  it('does its work, and prints its result', async () => {
    const folder = await temporaryFolder()
    await signedIn(serverProcess(folder))
    const { report } = await command(folder, ['users'])
    const [{ id = '' } = {}] = report.users as { id: string }[]
    const pin = spawn(process.execPath, [join(program, '..', 'cli.js'), 'pin', id, 'another-device'], {
      cwd: folder,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    pin.stderr.destroy()
    let printed = ''
    pin.stdout.on('data', (chunk: Buffer) => (printed += chunk))
    expect(await once(pin, 'close')).toEqual([0, null])
    expect(printed).toMatch(/^PIN \d{4} for device another-device/)
  })
})

async function started() {
  const server = spawn(process.execPath, [program], {
    cwd: await temporaryFolder(),
    env: { PATH: process.env.PATH, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  let log = ''
  const read = (chunk: Buffer) => (log += chunk)
  server.stdout.on('data', read)
  await expect.poll(() => log, { timeout: 20_000 }).toMatch(/the master key is in DATA_DIR, so anyone/)
  server.stdout.off('data', read)
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(log) as RegExpExecArray
  return { server, url }
}

function ask(url: string, agent: Agent) {
  return new Promise<void>((resolve, reject) => {
    get(url, { agent }, (response) => response.resume().on('end', resolve)).on('error', reject)
  })
}
