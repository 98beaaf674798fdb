import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { DESKTOP, openStage, signIn } from './stage.ts'

const SOON = { timeout: 30_000 }
const photos = (page: Page) => page.getByRole('heading', { name: 'Photos' })

it('opens offline and says so, keeps nothing of the vault, and takes what other apps share', async () => {
  const stage = await openStage()
  stage.allowErrors(/401|ERR_INTERNET_DISCONNECTED|ERR_FAILED|unknown error occurred when fetching the script/)
  const { app, page, context, shot } = stage
  const headers = await signIn(stage)
  await photos(page).waitFor()
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready
  })
  await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null), SOON).toBe(true)

  await context.setOffline(true)
  await page.reload()
  await page.getByText('You are offline. The vault is shown again when the connection is back.').waitFor()
  await shot('offline')
  await context.setOffline(false)
  await photos(page).waitFor()
  await context.setOffline(true)
  await page.getByRole('status').getByText('You are offline.').waitFor()
  await context.setOffline(false)
  await expect.poll(() => page.getByText('You are offline.').count(), SOON).toBe(0)

  const cached = await page.evaluate(async () => {
    const caches = await Promise.all((await window.caches.keys()).map((name) => window.caches.open(name)))
    return (await Promise.all(caches.map((cache) => cache.keys()))).flat().map(({ url }) => new URL(url).pathname)
  })
  expect(cached).toEqual(expect.arrayContaining(['/', '/manifest.webmanifest', '/icon-192.png']))
  expect(cached.filter((path) => !/^\/(assets\/[\w.-]+|[\w-]+\.(png|svg|webmanifest))?$/.test(path))).toEqual([])

  // As Android does it.
  const share = () =>
    page.evaluate(async () => {
      const form = new FormData()
      form.append('files', new File(['shared'], 'shared.txt', { type: 'text/plain' }))
      return (await fetch('/share', { method: 'POST', body: form })).url
    })
  expect(await share()).toBe(`${app.url}/`)
  await page.reload()
  await page.getByRole('dialog', { name: 'Add to the vault?' }).getByText('shared.txt').waitFor()
  await shot('shared')
  await page.getByRole('button', { name: 'Do not add' }).click()
  await share()
  await page.reload()
  await page.getByRole('button', { name: 'Add to the vault' }).click()
  await page.getByRole('heading', { name: 'Everything is in the vault' }).waitFor()
  expect((await app.request('/v1/files', { headers })).body).toMatchObject({ files: [{ name: 'shared.txt', size: 6 }] })
})

it('says that it is offline also where the browser learns that late', async () => {
  const { page, context, allowErrors } = await openStage()
  allowErrors(/401|ERR_FAILED|ERR_INTERNET_DISCONNECTED/)
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  await context.route('**/v1/me', (route) => route.abort())
  await page.reload()
  await page.getByText('The server cannot be reached.').waitFor()
  await context.setOffline(true)
  await page.getByText('You are offline. The vault is shown again when the connection is back.').waitFor()
})

it('can be installed', async () => {
  const { app, allowErrors } = await openStage()
  allowErrors(/401/)
  const { body } = await app.request('/manifest.webmanifest')
  const { icons, share_target } = body as {
    icons: { src: string; sizes: string }[]
    share_target: { action: string }
  }
  expect(share_target.action).toBe('/share')
  for (const { src, sizes } of icons) {
    const { status, bytes } = await app.request(src)
    expect(status).toBe(200)
    if (src.endsWith('.png')) expect(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`).toBe(sizes)
  }
})

it('hides the page after some minutes in the background', async () => {
  const stage = await openStage({ viewport: DESKTOP })
  stage.allowErrors(/401/)
  const { page, context, shot } = stage
  await page.clock.install()
  await signIn(stage)
  await photos(page).waitFor()
  const away = async (minutes: number) => {
    const show = (isHidden: boolean) =>
      page.evaluate((isHidden) => {
        Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }, isHidden)
    await show(true)
    // A browser may stop a hidden page: only the clock goes on.
    await page.clock.setSystemTime((await page.evaluate(() => Date.now())) + minutes * 60_000)
    await show(false)
  }

  await away(4)
  expect(await page.getByRole('dialog').count()).toBe(0)
  await away(6)
  await page.getByRole('dialog', { name: 'Hidden while you were away' }).getByText('It is not a password').waitFor()
  // Nothing below can be reached, by a screen reader or by the keyboard.
  const devtools = await context.newCDPSession(page)
  const { nodes } = await devtools.send('Accessibility.getFullAXTree')
  const read = nodes.filter(({ ignored }) => !ignored).map(({ name }) => name?.value)
  expect(read).toContain('Show again')
  expect(read).not.toContain('Photos')
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.closest('.shell') === null)).toBe(true)
  await shot('locked')
  await page.getByRole('button', { name: 'Show again' }).click()
  await photos(page).waitFor()

  await page.evaluate(() => localStorage.setItem('lock-minutes', '0'))
  await page.reload()
  await photos(page).waitFor()
  await away(600)
  expect(await page.getByRole('dialog').count()).toBe(0)
})
