import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { foldersAnswer } from '../../src/compose/folders.ts'
import { readConfig } from '../../src/config/config.ts'
import { VERSION } from '../../src/version.ts'
import { temporaryFolder } from '../support/app.ts'
import { call } from '../support/http.ts'
import { metricsUrlIn } from '../support/metrics.ts'
import { commandProcess, serverProcess, signedIn } from '../support/process.ts'

describe('the process', () => {
  it('says where it listens, where the data lies, what it uses and what is not fit for production', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder)
    await server.url
    await expect.poll(server.output).toContain('the master key is in')
    const lines = server.output().trim().split('\n')
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
    expect(messages).toEqual([
      `minikeepsafe ${VERSION} on Node ${process.versions.node}`,
      expect.stringMatching(/^made a master key: .*\/data\/master\.key\. Keep a copy of it in another place/),
      expect.stringMatching(/^listening on (http:\/\/127\.0\.0\.1:\d+) \(web vault at \1\/, Swagger UI at \1\/docs\)$/),
      `data in ${join(folder, 'data')}, files in ${join(folder, 'uploads')}`,
      'using SQLite, pending PINs in memory, sealed files on disk, PIN delivery by response',
      expect.stringMatching(/^not fit for production: PIN_DELIVERY=response/),
      expect.stringMatching(/^not fit for production: the master key is in DATA_DIR/),
    ])
  })

  it('shows the web vault that was built with it at /, and with WEB=off a short page', async () => {
    const [on, off] = [serverProcess(await temporaryFolder()), serverProcess(await temporaryFolder(), { WEB: 'off' })]
    const page = await on.request('/')
    expect(page.status).toBe(200)
    const [, script = ''] = /<script type="module"[^>]* src="(\/assets\/[^"]+\.js)"/.exec(page.body as string) ?? []
    expect((await on.request(script)).status).toBe(200)
    const short = await off.request('/')
    expect([short.status, short.body]).toEqual([200, expect.stringContaining('<a href="/docs">')])
    expect((await off.request(script)).status).toBe(404)
  })

  it('warns of being reachable over plain HTTP', async () => {
    const server = serverProcess(await temporaryFolder(), { HOST: '0.0.0.0', PIN_DELIVERY: 'console' })
    await server.url
    await expect.poll(server.output).toContain('0.0.0.0 is reachable from other machines over plain HTTP')
    expect(server.output()).toContain('PIN_DELIVERY=console: PINs are written to this log')
  })

  it('says where its metrics are, and warns if others can read them', async () => {
    const settings = { METRICS: 'on', METRICS_PORT: '0' }
    const server = serverProcess(await temporaryFolder(), settings)
    await server.url
    expect((await call(metricsUrlIn(server.output()))).status).toBe(200)
    const open = serverProcess(await temporaryFolder(), { ...settings, METRICS_HOST: '0.0.0.0' })
    await open.url
    await expect
      .poll(open.output)
      .toContain('METRICS_HOST=0.0.0.0 without METRICS_TOKEN: anyone who reaches it can read')
    expect(server.output()).not.toContain('METRICS_TOKEN')
  })

  it('does not start, and creates nothing, if the port of the metrics is in use', async () => {
    const busy = createServer().listen(0, '127.0.0.1')
    await once(busy, 'listening')
    onTestFinished(() => void busy.close())
    const folder = await temporaryFolder()
    const { port } = busy.address() as AddressInfo
    const server = serverProcess(folder, { METRICS: 'on', METRICS_PORT: String(port) })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('the port is in use. Choose another with PORT or METRICS_PORT')
    expect(await readdir(folder)).toEqual([])
  })

  it('warns of having no rate limit', async () => {
    const server = serverProcess(await temporaryFolder(), { RATE_LIMIT: 'off' })
    await server.url
    await expect.poll(server.output).toContain('not fit for production: there is no rate limit')
  })

  it('warns of a key and of folders that other users can read, and closes those that git made', async () => {
    const folder = await temporaryFolder()
    for (const name of ['data', 'uploads']) {
      await mkdir(join(folder, name))
      await chmod(join(folder, name), 0o755)
    }
    await writeFile(join(folder, 'data', '.gitkeep'), '')
    await writeFile(join(folder, 'key'), randomBytes(32).toString('base64'))
    await chmod(join(folder, 'key'), 0o640)
    const server = serverProcess(folder, { MASTER_KEY_FILE: 'key' })
    await server.url
    const warning = 'other users of this machine have rights to'
    await expect.poll(server.output).toContain(`${warning} MASTER_KEY_FILE (${join(folder, 'key')})`)
    expect(server.output()).toContain(`${warning} UPLOADS_DIR (${join(folder, 'uploads')})`)
    expect(server.output()).not.toContain(`${warning} DATA_DIR`)
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700)
  })

  it('reads .env', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, '.env'), 'PIN_DELIVERY=console\nPORT=1\nPIN_TTL=3\nQUOTA=5\n')
    const server = serverProcess(folder, { PORT: '0' })
    await server.url
    await expect.poll(server.output).toContain('PIN delivery by console')
    await expect.poll(server.output).toContain('settings that this version does not know: PIN_TTL, QUOTA')
  })

  it('is refused where the vault has files and UPLOADS_DIR has none, as if its disk were not mounted', async () => {
    const folder = await temporaryFolder()
    const [uploads, disk] = [join(folder, 'uploads'), join(folder, 'disk')]
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    await server.request('/v1/files/a', { method: 'PUT', headers, body: 'a' })
    await server.stop('SIGTERM')
    await rename(uploads, disk)
    for (const mountPoint of ['absent', 'empty']) {
      if (mountPoint === 'empty') await mkdir(uploads, { recursive: true })
      const refused = serverProcess(folder)
      expect(await refused.exit).toBe(1)
      expect(refused.output()).toMatch(/UPLOADS_DIR is \S*uploads, which has no blobs, but the vault has files/)
      expect(await readdir(uploads)).toEqual([])
    }
    // What docs/operating.md says for files that are lost.
    await mkdir(join(uploads, 'lost'))
    const without = serverProcess(folder)
    expect((await without.request('/v1/files/a', { headers })).status).toBe(500)
    await without.stop('SIGTERM')

    await rm(uploads, { recursive: true })
    await rename(disk, uploads)
    expect((await serverProcess(folder).request('/v1/files/a', { headers })).status).toBe(200)
  })

  it('is the same as the command serve', async () => {
    const folder = await temporaryFolder()
    const serving = commandProcess(folder, ['serve'], { PORT: '0' })
    await expect.poll(serving.output, { timeout: 20_000 }).toContain('listening on')
    expect((await readdir(folder)).sort()).toEqual(['data', 'uploads'])
    expect(await serving.stop('SIGTERM')).toBe(0)
    expect(serving.output()).toContain('closing on SIGTERM')

    const wrong = await commandProcess(folder, ['serve'], { PORT: 'x' }).ended
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/^The settings cannot be used:\n {2}PORT/)])
  })

  it('ends with the shell of npx, which passes no signal on', async () => {
    const folder = await temporaryFolder()
    const program = join(import.meta.dirname, '..', '..', 'dist', 'cli.js')
    // The shell does not replace itself by the last command of several.
    const shell = spawn('sh', ['-c', `"${process.execPath}" "${program}" serve; exit`], {
      cwd: folder,
      env: { PORT: '0', npm_command: 'exec' },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    onTestFinished(() => {
      try {
        process.kill(-(shell.pid as number), 'SIGKILL')
      } catch {
        // All of it has ended.
      }
    })
    let output = ''
    shell.stdout.on('data', (chunk: Buffer) => (output += chunk))
    const closed = once(shell, 'close')
    await expect.poll(() => output, { timeout: 20_000 }).toContain('listening on')
    shell.kill('SIGTERM')
    // The server has the other end of the pipe until it ends.
    await closed
    expect(output).toContain('closing on SIGTERM')
    expect(await readdir(join(folder, 'data'))).not.toContain('minikeepsafe.db-wal')
  })

  it.each([
    [{ DATA_DIR: '/dev/null' }, 'DATA_DIR is /dev/null, which cannot be used'],
    [{ UPLOADS_DIR: '/dev/null' }, 'UPLOADS_DIR is /dev/null, which cannot be used'],
    [{ MASTER_KEY: 'short' }, 'MASTER_KEY must be 32 bytes in base64'],
    [{ DATA_DIR: '/proc/vault' }, 'DATA_DIR is /proc/vault, which cannot be used'],
    [{ UPLOADS_DIR: '/proc/vault' }, 'UPLOADS_DIR is /proc/vault, which cannot be used'],
    [{ HOST: '203.0.113.1' }, 'HOST is not an address of this machine'],
  ])('ends with 1 and names the setting for %j', async (settings, message) => {
    const server = serverProcess(await temporaryFolder(), settings)
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain(message)
  })

  it('ends with 1 and every fault of its settings', async () => {
    const server = serverProcess(await temporaryFolder(), { PORT: 'x', LOG_LEVEL: 'y' })
    expect(await server.exit).toBe(1)
    expect(server.output()).toMatch(/PORT is "x".*\n.*LOG_LEVEL is "y"/)
    expect(server.output()).not.toContain('at ')
  })

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', 'localhost'],
    ['0.0.0.0', '127.0.0.1'],
  ])('ends with 1 where its port is taken at %s, and makes nothing', async (taken, HOST) => {
    const holder = createServer().listen(0, taken)
    await new Promise((resolve) => holder.once('listening', resolve))
    onTestFinished(() => void holder.close())
    const { port } = holder.address() as { port: number }
    const folder = await temporaryFolder()
    const server = serverProcess(folder, { PORT: String(port), HOST })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('the port is in use')
    expect(await readdir(folder)).toEqual([])
  })

  it('waits for a folder that does not answer, and says for which', async () => {
    const config = readConfig({ DATA_DIR: '/mnt/away', UPLOADS_DIR: '/nowhere' })
    const told: string[] = []
    let answer = () => {}
    const away = new Promise<void>((resolve) => {
      answer = resolve
    })
    const ask = (path: string) => (path === '/mnt/away' ? away : Promise.reject(new Error('ENOENT')))
    const answered = foldersAnswer(config, 1, (message) => told.push(message), ask)
    await expect.poll(() => told).toEqual([expect.stringMatching(/^DATA_DIR \(\/mnt\/away\) does not answer/)])
    answer()
    await answered
    expect(told).toHaveLength(1)
  })

  it('ends with 1 where another server uses its data, and leaves that one alone', async () => {
    const folder = await temporaryFolder()
    const first = serverProcess(folder)
    await first.url
    const second = serverProcess(folder)
    expect(await second.exit).toBe(1)
    expect(second.output()).toContain('DATA_DIR is ./data, which cannot be used: another server is using it')
    expect((await first.request('/health/ready')).status).toBe(200)
  })
})
