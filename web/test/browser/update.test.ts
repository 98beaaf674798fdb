/** A page that was kept by the service worker, and a server that was updated since. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder, testApp } from '../../../test/support/app.ts'
import { launch } from '../../../test/support/browser.ts'
import { WEB_FOLDER } from '../../../test/support/build.ts'

const SOON = { timeout: 30_000, interval: 500 }

/** The page as another release would have it. */
async function release(name: string): Promise<string> {
  const folder = await temporaryFolder()
  const copy = (from: string, to: string, pattern: RegExp, replacement: string) => {
    const text = readFileSync(join(WEB_FOLDER, from), 'utf8')
    expect(text).toMatch(pattern)
    writeFileSync(join(folder, to), text.replace(pattern, replacement))
  }
  cpSync(WEB_FOLDER, folder, { recursive: true, filter: (path) => !/(?:index\.html|sw\.js)(?:\.br|\.gz)$/.test(path) })
  copy('index.html', 'index.html', /<head>/, `<head><meta name="release" content="${name}">`)
  copy('sw.js', 'sw.js', /"version":"[0-9a-f]{12}"/, `"version":"${name}"`)
  return folder
}

const shown = (page: Page) => page.locator('meta[name=release]').getAttribute('content')
const kept = (page: Page) => page.evaluate(async () => (await caches.keys()).sort())

it('shows the page of an updated server at once, and keeps it when no page of the former release is open', async () => {
  const [first, second] = [
    await testApp({}, undefined, { web: await release('first') }),
    await testApp({}, undefined, { web: await release('second') }),
  ]
  let server = first
  const front = createServer((socket) => {
    const behind = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.on('error', () => behind.destroy()).on('close', () => behind.destroy())
    behind.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
  await new Promise<void>((listening) => front.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void front.close())
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}/`
  const browser = await launch()
  onTestFinished(() => browser.close())
  const context = await browser.newContext()
  const [page, other] = [await context.newPage(), await context.newPage()]

  await page.goto(url)
  await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null), SOON).toBe(true)
  expect([await shown(page), await kept(page)]).toEqual(['first', ['shell first']])
  await other.goto(url)
  await other.getByRole('heading', { name: 'Open your vault' }).waitFor()

  server = second
  for (const socket of first.connections) socket.destroy()
  await page.reload()
  expect(await shown(page)).toBe('second')
  await expect.poll(() => kept(page), SOON).toEqual(['shell first', 'shell second'])
  await page.reload()
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  // As the page does after a while. The other page may still need the files of the first release.
  await page.evaluate(async () => {
    const waiting = (await navigator.serviceWorker.getRegistration())?.waiting
    const script = document.querySelector('script[type=module]')?.getAttribute('src')
    waiting?.postMessage({ takeOver: script })
    await new Promise((resolve) => setTimeout(resolve, 1000))
  })
  expect(await kept(page)).toEqual(['shell first', 'shell second'])

  await other.close()
  // The browser forgets a closed page a little later.
  const [worker] = context.serviceWorkers()
  const pages = () => worker?.evaluate('clients.matchAll({ includeUncontrolled: true }).then(({ length }) => length)')
  await expect.poll(pages, SOON).toBe(1)
  await page.reload()
  await expect.poll(() => kept(page), SOON).toEqual(['shell second'])

  for (const socket of second.connections) socket.destroy()
  front.close()
  await context.setOffline(true)
  await page.reload()
  await page.getByText('You are offline.').first().waitFor()
  expect(await shown(page)).toBe('second')
})
