/** The client of clients/typescript in a page of another origin, with its store in IndexedDB. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import { expect, it, onTestFinished } from 'vitest'
import { member, temporaryFolder, testApp } from '../support/app.ts'
import { launch } from '../support/browser.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'

const MiB = 1024 * 1024
const PATIENT = { timeout: 30_000 }
const film = randomBytes(9 * MiB + 5)

it('resumes after the connection broke, and after the page was opened again', async () => {
  const { ada, proxy, page, reports, pick } = await scene()
  const stored = () => reports.flatMap(([what, bytes]) => (what === 'stored' && bytes > 0 ? [bytes] : []))
  await pick()
  await expect.poll(() => stored().length, PATIENT).toBeGreaterThan(0)
  await page.reload()
  reports.length = 0

  await pick()
  await expect.poll(() => stored().length, PATIENT).toBeGreaterThan(1)
  proxy.cut()
  await expect.poll(() => reports, PATIENT).toContainEqual(['downloaded', film.length])

  // One report without bytes is the end of hashing. Another would be a new begin.
  expect(reports.filter(([what, bytes]) => what !== 'stored' || bytes === 0)).toEqual([
    ['stored', 0],
    ['done', film.length],
    ['downloaded', film.length],
  ])
  expect((await ada.get('film.mp4')).bytes.equals(film)).toBe(true)
  expect((await ada.request('/v1/uploads')).body).toEqual({ uploads: [] })
})

it.each(['the browser', 'another tab'] as const)('remembers an upload after %s has closed its database', async (by) => {
  const { ada, page, reports, pick, closeDatabase } = await scene()
  const stored = () => reports.flatMap(([what, bytes]) => (what === 'stored' && bytes > 0 ? [bytes] : []))
  await pick()
  await expect.poll(() => reports, PATIENT).toContainEqual(['downloaded', film.length])
  await closeDatabase[by]()
  await ada.request('/v1/files/film.mp4', { method: 'DELETE' })
  reports.length = 0

  await pick()
  await expect.poll(() => stored().length, PATIENT).toBeGreaterThan(0)
  await page.reload()
  reports.length = 0
  await pick()
  await expect.poll(() => reports, PATIENT).toContainEqual(['downloaded', film.length])
  expect(reports.filter(([what, bytes]) => what === 'stored' && bytes === 0)).toHaveLength(1)
})

/** A server behind a slow connection, and a page of another origin. */
async function scene() {
  const site = await pageServer()
  const app = await testApp({ CORS_ORIGINS: site })
  const proxy = await faultyProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) })
  proxy.delay(2)
  const ada = await member(app)
  const picked = join(await temporaryFolder(), 'film.mp4')
  await writeFile(picked, film)
  const browser = await launch()
  onTestFinished(() => browser.close())
  const page = await (await browser.newContext()).newPage()
  const reports: [what: string, bytes: number][] = []
  await page.exposeFunction('report', (what: string, bytes: number) => void reports.push([what, bytes]))
  const baseUrl = `http://127.0.0.1:${proxy.port}`
  await page.goto(`${site}/#${new URLSearchParams({ baseUrl, token: ada.token })}`)
  const closeDatabase = {
    /** As it does when storage is short, or when the page of a phone is in the background. */
    async 'the browser'() {
      const devTools = await page.context().newCDPSession(page)
      await devTools.send('Storage.clearDataForOrigin', { origin: site, storageTypes: 'indexeddb' })
    },
    async 'another tab'() {
      const tab = await page.context().newPage()
      await tab.goto(site)
      const deleted = tab.evaluate(
        () =>
          new Promise<string>((resolve) => {
            const request = indexedDB.deleteDatabase('minikeepsafe-uploads')
            request.onsuccess = () => resolve('deleted')
            request.onblocked = () => resolve('blocked')
          }),
      )
      expect(await deleted).toBe('deleted')
    },
  }
  const pick = async () => {
    // A page does not hear of a file that it has already.
    await page.setInputFiles('input', [])
    await page.setInputFiles('input', picked)
  }
  return { ada, proxy, page, reports, closeDatabase, pick }
}

/** Serves the page. Returns its origin. */
async function pageServer(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'client.ts')],
    bundle: true,
    write: false,
    platform: 'browser',
  })
  const page =
    '<!doctype html><meta charset="utf-8"><title>Client</title><input type="file"><script src="/client.js"></script>'
  const server = createServer(({ url }, response) => {
    const isScript = url === '/client.js'
    response
      .setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
      .end(isScript ? outputFiles[0]?.text : page)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
