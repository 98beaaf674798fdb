import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'

const root = join(import.meta.dirname, '..', '..')
const run = promisify(execFile)

/** `npm start` in this checkout, with folders of its own and in a process group of its own, as a terminal does it. */
async function npmStart(settings: Record<string, string> = {}) {
  const folder = await temporaryFolder()
  const folders = { DATA_DIR: join(folder, 'data'), UPLOADS_DIR: join(folder, 'uploads') }
  const npm: ChildProcess = spawn('npm', ['start'], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      PORT: '0',
      npm_config_update_notifier: 'false',
      ...folders,
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const group = -(npm.pid as number)
  onTestFinished(() => {
    try {
      process.kill(group, 'SIGKILL')
    } catch {
      // All of it has ended.
    }
  })
  let output = ''
  for (const stream of [npm.stdout, npm.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk))
  const exit = once(npm, 'exit').then(([code]) => code as number | null)
  const closed = once(npm, 'close')
  await expect.poll(() => output, { timeout: 60_000, interval: 50 }).toContain('listening on')
  return { npm, group, exit, closed, output: () => output, folders }
}

describe('npm start', { timeout: 90_000 }, () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('stops its server on %s to npm alone', async (signal) => {
    const { npm, exit, closed, output, folders } = await npmStart()
    npm.kill(signal)
    expect(await exit).toBe(0)
    // Its output is open for as long as any process of it runs.
    await closed
    expect(output()).toContain(`closing on ${signal}`)
    expect(await readdir(folders.DATA_DIR)).not.toContain('minikeepsafe.db-wal')
  })

  it('stops cleanly on Ctrl-C, which a terminal sends to npm and to the server', async () => {
    const { group, exit, closed, output, folders } = await npmStart()
    process.kill(group, 'SIGINT')
    expect(await exit).toBe(0)
    await closed
    expect(output()).toContain('closing on SIGINT')
    expect(output()).not.toContain('second')
    expect(await readdir(folders.DATA_DIR)).not.toContain('minikeepsafe.db-wal')
  })
})

describe('the build', () => {
  async function project() {
    const folder = await temporaryFolder()
    for (const name of ['build.js', 'package.json', 'package-lock.json', 'tsconfig.json']) {
      await cp(join(root, name), join(folder, name))
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    await mkdir(join(folder, 'src', 'config'), { recursive: true })
    await writeFile(join(folder, 'src', 'one.ts'), 'export const one: number = 1\n')
    await writeFile(join(folder, 'src', 'server.ts'), `import { one } from './one.ts'\nconsole.log('server', one)\n`)
    for (const name of ['cli.ts', 'config/config.ts']) await writeFile(join(folder, 'src', name), 'export {}\n')
    await mkdir(join(folder, 'clients', 'typescript', 'src'), { recursive: true })
    await mkdir(join(folder, 'web'))
    await writeFile(join(folder, 'web', 'vite.config.ts'), 'export default { root: import.meta.dirname }\n')
    await writeFile(join(folder, 'web', 'page.js'), `document.title = '${'a long title '.repeat(99)}'\n`)
    const page = join(folder, 'web', 'index.html')
    await writeFile(page, '<!doctype html><title>one</title><script type="module" src="/page.js"></script>\n')
    const program = join(folder, 'dist', 'server.js')
    return {
      folder,
      program,
      page,
      built: (name: string) => readFile(join(folder, 'dist', 'web', name)),
      source: (name: string) => join(folder, 'src', name),
      build: () => run(process.execPath, ['build.js'], { cwd: folder }),
      output: async () => (await run(process.execPath, [program])).stdout,
      /** Changes with each compilation. */
      builtAt: async () => (await stat(program)).mtimeMs,
    }
  }

  it('compiles what changed or is missing, and nothing otherwise', async () => {
    const { source, build, output, builtAt, program } = await project()
    await build()
    expect(await output()).toBe('server 1\n')
    const first = await builtAt()

    await utimes(source('one.ts'), new Date(), new Date())
    await build()
    expect(await builtAt()).toBe(first)

    // As git may set it: older than what was built.
    await writeFile(source('one.ts'), 'export const one: number = 11\n')
    await utimes(source('one.ts'), new Date(0), new Date(0))
    await build()
    expect(await output()).toBe('server 11\n')

    await rm(program)
    await build()
    expect(await output()).toBe('server 11\n')
  })

  it('has the web vault in it, with smaller copies of its texts', async () => {
    const { folder, page, build, built } = await project()
    await build()
    expect(String(await built('index.html'))).toContain('<title>one</title>')
    const scripts = await readdir(join(folder, 'dist', 'web', 'assets'))
    const [script = ''] = scripts.filter((name) => name.endsWith('.js'))
    expect(scripts.toSorted()).toEqual([script, `${script}.br`, `${script}.gz`])
    const bytes = await built(`assets/${script}`)
    expect(brotliDecompressSync(await built(`assets/${script}.br`)).equals(bytes)).toBe(true)
    expect(gunzipSync(await built(`assets/${script}.gz`)).equals(bytes)).toBe(true)

    await writeFile(page, '<!doctype html><title>two</title>\n')
    await build()
    expect(String(await built('index.html'))).toContain('<title>two</title>')
    expect(await readdir(join(folder, 'dist', 'web'))).not.toContain('assets')
  })

  it('says that the web vault cannot be built, and why', async () => {
    const { page, build } = await project()
    await writeFile(page, '<!doctype html><script type="module" src="/nothing.js"></script>\n')
    await expect(build()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^The web vault in web\/ cannot be built: .*nothing\.js/s),
    })
    await expect(build()).rejects.toMatchObject({ code: 1 })
  })

  it('that failed is no build', async () => {
    const { source, build } = await project()
    await build()
    await rm(source('one.ts'))
    await expect(build()).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('./one.ts') })
    await expect(build()).rejects.toMatchObject({ code: 1 })
  })

  it('says in one line what to do where there is no compiler, and needs none where nothing changed', async () => {
    const { folder, source, build } = await project()
    await build()
    await rm(join(folder, 'node_modules'))
    expect(await build()).toEqual({ stdout: '', stderr: '' })
    await rm(source('one.ts'))
    await expect(build()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^There is no compiler .*: npm install --include=dev\n$/),
    })
  })
})
