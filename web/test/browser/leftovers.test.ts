/** A page shows nothing of a former user to the next one. */
import { randomBytes } from 'node:crypto'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { picture } from '../../../clients/typescript/demo/pictures.ts'
import { testApp } from '../../../test/support/app.ts'
import { launch } from '../../../test/support/browser.ts'
import { WEB_FOLDER } from '../../../test/support/build.ts'
import { DESKTOP, openStage, type Stage, signIn } from './stage.ts'

const photos = (page: Page) => page.getByRole('heading', { name: 'Photos' })
const jpeg = picture(0, '2026-07-14T12:00:00+02:00').jpeg

/** Another user, and what signs that user in. */
async function stranger(app: Stage['app']) {
  const own = `own-${randomBytes(8).toString('hex')}`
  const person = { name: 'Eve', email: 'eve@example.org', deviceId: own }
  const { pin } = (await app.post('/v1/users', person)).body as { pin: string }
  const { token } = (await app.post('/v1/sessions', { deviceId: own, pin })).body as { token: string }
  const headers = { authorization: `Bearer ${token}` }
  const deviceId = `link-${randomBytes(8).toString('hex')}`
  const shown = (await app.post('/v1/pins', { deviceId }, headers)).body as { pin: string }
  return { headers, deviceId, pin: shown.pin }
}

async function choose(page: Page, name: string, buffer: Buffer): Promise<void> {
  await page.getByRole('button', { name: 'Add files' }).click()
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('menuitem', { name: 'Choose files' }).click()
  await (await chooser).setFiles([{ name, mimeType: 'image/jpeg', buffer }])
}

/** Signs another user in by another tab, and tells the other tabs so, as the page does. */
async function enterInAnotherTab({ app, context }: Stage, { deviceId, pin }: { deviceId: string; pin: string }) {
  const tab = await context.newPage()
  await tab.goto(`${app.url}/icon.svg`)
  const status = await tab.evaluate(
    async ([deviceId, pin]) => {
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ deviceId, pin, cookie: true })
      const response = await fetch('/v1/sessions', { method: 'POST', headers, body })
      const { userId } = await response.json()
      new BroadcastChannel('session').postMessage({ userId })
      return response.status
    },
    [deviceId, pin],
  )
  expect(status).toBe(201)
}

it('files of another app', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401/)
  const { app, page } = stage
  await signIn(stage)
  await photos(page).waitFor()
  await expect
    .poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null), { timeout: 30_000 })
    .toBe(true)
  await page.evaluate(async () => {
    const form = new FormData()
    form.append('files', new File(['shared'], 'diary of Ada.txt', { type: 'text/plain' }))
    await fetch('/share', { method: 'POST', body: form })
  })
  await page.reload()
  await page.getByRole('dialog', { name: 'Add to the vault?' }).getByText('diary of Ada.txt').waitFor()
  const eve = await stranger(app)
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })
  await enterInAnotherTab(stage, eve)
  await page.getByText('shell.txt').first().waitFor()
  // The panel would ask.
  await page.locator('p[role=status]').waitFor({ state: 'attached' })
  expect(await page.getByText('diary of Ada.txt').count()).toBe(0)
})

it('the list that was requested before it was known who is signed in', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401|ERR_FAILED/)
  const { app, page, context } = stage
  const ada = await signIn(stage)
  await app.request('/v1/files/diary.txt', { method: 'PUT', headers: ada, body: 'dear' })
  await photos(page).waitFor()
  await page.reload()
  await page.getByText('diary.txt').first().waitFor()
  // The page remembers that it has shown the gallery.
  await expect.poll(() => page.evaluate(() => Object.keys(localStorage).length)).toBe(2)
  await context.route('**/v1/me', (route) => route.abort())
  await page.reload()
  await page.getByText('The server cannot be reached.').waitFor()
  const eve = await stranger(app)
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })
  await page.evaluate(() => {
    const look = () => {
      if (document.body.textContent?.includes('diary.txt')) Object.assign(window, { hasShown: true })
    }
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true })
  })
  await enterInAnotherTab(stage, eve)
  await context.unroute('**/v1/me')
  await page.getByText('shell.txt').first().waitFor()
  expect(await page.evaluate(() => 'hasShown' in window)).toBe(false)
})

it('an upload whose thumbnail is still being made', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401/)
  const { app, page } = stage
  await signIn(stage)
  await photos(page).waitFor()
  await page.evaluate(() => {
    const real = window.Worker
    window.Worker = class extends real {
      override postMessage(message: unknown) {
        if ('goOn' in window) super.postMessage(message)
        else Object.assign(window, { goOn: () => super.postMessage(message) })
      }
    } as typeof Worker
  })
  await choose(page, 'diary of Ada.jpg', jpeg)
  await expect.poll(() => page.evaluate(() => 'goOn' in window)).toBe(true)
  const eve = await stranger(app)
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })
  await enterInAnotherTab(stage, eve)
  await page.getByText('shell.txt').first().waitFor()
  // The text for screen readers.
  expect(await page.getByText('Uploading 1 files.').count()).toBe(0)
  await page.evaluate(() => (window as unknown as { goOn: () => void }).goOn())
  // Thumbnails are made one after the other.
  await choose(page, 'pearl.jpg', Buffer.concat([jpeg, Buffer.from('pearl')]))
  await page.getByAltText('pearl.jpg').waitFor()
  expect(await page.content()).not.toContain('diary of Ada')
})

it('a name that was changed', async () => {
  const stage = await openStage({ viewport: DESKTOP })
  stage.allowErrors(/status of 401/)
  const { app, page, context } = stage
  const ada = await signIn(stage)
  await app.request('/v1/files/diary.txt', { method: 'PUT', headers: ada, body: 'dear' })
  await photos(page).waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Select diary.txt' }).click()
  await page.getByRole('button', { name: 'Rename' }).click()
  const dialog = page.getByRole('dialog', { name: 'Rename file' })
  await dialog.getByLabel('New name').fill('diary of Ada.txt')
  const late = new Promise<() => void>((resolve) => {
    void context.route('**/v1/files/diary.txt', async (route) => {
      const response = await route.fetch()
      resolve(() => void route.fulfill({ response }))
    })
  })
  await dialog.getByRole('button', { name: 'Rename' }).click()
  const answer = await late
  const eve = await stranger(app)
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })
  await enterInAnotherTab(stage, eve)
  await page.getByText('shell.txt').first().waitFor()
  const answered = page.waitForResponse('**/v1/files/diary.txt')
  answer()
  await (await answered).finished()
  // After that response the page has done what it does with it.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))))
  expect(await page.content()).not.toContain('diary of Ada')
})

it('an upload that is not complete', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401|ERR_FAILED/)
  const { app, page, context } = stage
  await signIn(stage)
  await photos(page).waitFor()
  await context.route('**/v1/uploads/*', (route) => route.abort())
  await choose(page, 'diary of Ada.jpg', Buffer.alloc(5 * 1024 * 1024, 'dear'))
  // With its digest, so that it goes on where it was.
  await expect.poll(() => kept(page)).toMatch(/"[0-9a-f]{64} diary of Ada\.jpg"/)
  const eve = await stranger(app)
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })
  await enterInAnotherTab(stage, eve)
  await page.getByText('shell.txt').first().waitFor()
  await expect.poll(() => kept(page)).not.toContain('Ada')
})

/** All keys and values of the page's database, but for the bytes of files. */
function kept(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const done = <Result>(request: IDBRequest<Result>) =>
      new Promise<Result>((resolve) => {
        request.onsuccess = () => resolve(request.result)
      })
    // The page makes it with its first file.
    if ((await indexedDB.databases()).length === 0) return ''
    const db = await done(indexedDB.open('minikeepsafe-queue'))
    const found: unknown[] = []
    for (const name of db.objectStoreNames) {
      const store = db.transaction(name).objectStore(name)
      found.push(name, await done(store.getAllKeys()), await done(store.getAll()))
    }
    db.close()
    return JSON.stringify(found)
  })
}

it('a page that the browser kept for its back button', async () => {
  const app = await testApp({}, undefined, { web: WEB_FOLDER })
  const browser = await launch([], ['--disable-back-forward-cache'])
  onTestFinished(() => browser.close())
  const context = await browser.newContext({ locale: 'en-GB' })
  const page = await context.newPage()
  await page.goto(app.url)
  const ada = await signIn({ app, page })
  await app.request('/v1/files/diary.txt', { method: 'PUT', headers: ada, body: 'dear' })
  await page.reload()
  await page.getByText('diary.txt').first().waitFor()
  await page.evaluate(() => {
    addEventListener('pageshow', ({ persisted }) => Object.assign(window, { persisted }))
  })
  await page.goto(`${app.url}/docs`)
  const tab = await context.newPage()
  await tab.goto(`${app.url}/icon.svg`)
  expect(await tab.evaluate(async () => (await fetch('/v1/sessions/current', { method: 'DELETE' })).status)).toBe(204)
  // Playwright waits for the load of a page, and this one is not loaded again.
  await page.evaluate(() => setTimeout(() => history.back()))
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  expect(await page.evaluate(() => (window as unknown as { persisted: boolean }).persisted)).toBe(true)
  expect(await page.getByText('diary.txt').count()).toBe(0)
})
