/** Uppy's dashboard on a page of another origin, with the CORS of the server. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { type Member, member, temporaryFolder, testApp } from '../support/app.ts'
import { launch } from '../support/browser.ts'
import { type FaultyProxy, faultyProxy } from '../support/faulty-proxy.ts'

const MiB = 1024 * 1024
const film = randomBytes(4 * MiB + 5)

it('resumes after the connection was lost in the middle', async () => {
  const { proxy, ada, open, picked } = await scene()
  const { page, happens } = await open()
  await page.setInputFiles('input[type=file]', picked)
  const middle = happens((what, bytes) => what === 'progress' && bytes > 1.5 * MiB)
  const success = happens((what) => what === 'success')
  await upload(page)
  await middle
  await proxy.refuse()
  await page.waitForEvent('requestfailed')
  await proxy.heal()
  await success
  await expectStored(ada)
})

it('goes on in a page that was opened again', async () => {
  const { ada, open, picked } = await scene()
  const { page, happens } = await open()
  await page.setInputFiles('input[type=file]', picked)
  const middle = happens((what, bytes) => what === 'progress' && bytes > 1.5 * MiB)
  await upload(page)
  await middle
  await page.reload()
  const success = happens((what) => what === 'success')
  const resumed = page.waitForRequest((request) => request.method() === 'PATCH')
  await page.setInputFiles('input[type=file]', picked)
  await upload(page)
  expect(Number((await resumed).headers()['upload-offset'])).toBeGreaterThanOrEqual(MiB)
  await success
  await expectStored(ada)
})

it('shows why a file is refused', async () => {
  const { ada, open, picked } = await scene()
  await ada.put('film.mp4', 'other bytes')
  const { page, happens } = await open()
  await page.setInputFiles('input[type=file]', picked)
  const refused = happens((what) => what.startsWith('error'))
  await upload(page)
  expect(await refused).toContain('"code":"file-exists"')
})

/** A server behind a slow connection, and a page of another origin. */
async function scene() {
  const site = await pageServer()
  const app = await testApp({ CORS_ORIGINS: site })
  const proxy: FaultyProxy = await faultyProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) })
  proxy.delay(2)
  const ada = await member(app)
  const picked = join(await temporaryFolder(), 'film.mp4')
  await writeFile(picked, film)
  const browser = await launch()
  onTestFinished(() => browser.close())
  const open = async () => {
    const page = await browser.newPage()
    const { report, happens } = reports()
    await page.exposeFunction('report', report)
    const endpoint = `http://127.0.0.1:${proxy.port}/v1/uploads`
    await page.goto(`${site}/#${new URLSearchParams({ endpoint, token: ada.token })}`)
    await page.locator('.uppy-Dashboard').waitFor()
    return { page, happens }
  }
  return { proxy, ada, open, picked }
}

function reports() {
  type Wanted = (what: string, bytes: number) => boolean
  const waiting = new Map<Wanted, (what: string) => void>()
  return {
    report(what: string, bytes = 0) {
      for (const [wanted, resolve] of waiting) if (wanted(what, bytes)) resolve(what)
    },
    happens: (wanted: Wanted) => new Promise<string>((resolve) => waiting.set(wanted, resolve)),
  }
}

const upload = (page: Page) => page.locator('.uppy-StatusBar-actionBtn--upload').click()

async function expectStored(owner: Member) {
  const { headers, bytes } = await owner.get('film.mp4')
  expect([headers['content-type'], bytes.equals(film)]).toEqual(['video/mp4', true])
  expect((await owner.request('/v1/uploads')).body).toEqual({ uploads: [] })
}

/** Serves the page. Returns its origin. */
async function pageServer(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'uppy.ts')],
    bundle: true,
    write: false,
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  const style = await readFile(
    join(import.meta.dirname, '../../node_modules/@uppy/dashboard/dist/style.min.css'),
    'utf8',
  )
  const page = `<!doctype html><meta charset="utf-8"><title>Uppy</title><style>${style}</style><div id="uppy"></div><script src="/uppy.js"></script>`
  const server = createServer(({ url }, response) => {
    const isScript = url === '/uppy.js'
    response
      .setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      .end(isScript ? outputFiles[0]?.text : page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
