import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { newDeviceId, temporaryFolder, testApp } from '../support/app.ts'
import { launch } from '../support/browser.ts'

it('takes a person through all four steps, with the bytes unchanged', async () => {
  const { page, complaints } = await signedInPage()
  const photo = await photoFile('beach.jpg')

  const stored = await upload(page, photo.path)
  const downloaded = await download(page, 'beach.jpg')

  expect(stored).toMatchObject({ name: 'beach.jpg', size: photo.bytes.length, contentType: 'image/jpeg' })
  expect(downloaded.name).toBe('beach.jpg')
  expect(downloaded.bytes.equals(photo.bytes)).toBe(true)
  expect(complaints).toEqual([])
  await keepPicture(page)
})

it('uploads raw bytes with a file picker', async () => {
  const { page, complaints } = await signedInPage()
  const photo = await photoFile('beach.jpg')

  const put = await open(page, 'putFile')
  await put.getByPlaceholder('name', { exact: true }).fill('raw.jpg')
  await put.locator('input[type=file]').setInputFiles(photo.path)
  const stored = await execute(put)
  const downloaded = await download(page, 'raw.jpg')

  expect(stored).toMatchObject({ name: 'raw.jpg', size: photo.bytes.length })
  expect(downloaded.bytes.equals(photo.bytes)).toBe(true)
  expect(complaints).toEqual([])
})

it('is no wider than a phone, closed and with operations open', async () => {
  const app = await testApp()
  const { page, complaints } = await openPage(`${app.url}/docs`, { width: 360, height: 740 })
  const widest = () =>
    page.evaluate(`({ layout: innerWidth, content: document.documentElement.scrollWidth })`) as Promise<unknown>
  expect(await page.locator('meta[name=viewport]').getAttribute('content')).toContain('width=device-width')
  expect(await widest()).toEqual({ layout: 360, content: 360 })
  for (const operation of ['register', 'listFiles', 'putFile']) await open(page, operation)
  expect(await widest()).toEqual({ layout: 360, content: 360 })
  await page.locator('.btn.authorize').click()
  await page.locator('.modal-ux').waitFor()
  const box = await page.locator('.modal-ux').boundingBox()
  expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 999) <= 360).toBe(true)
  expect(complaints).toEqual([])
})

/** The page after its first two steps, done by hand: registered, signed in, and authorized with the token. */
async function signedInPage() {
  const app = await testApp()
  const opened = await openPage(`${app.url}/docs`)
  const deviceId = newDeviceId()
  const registered = await call(opened.page, 'register', { name: 'Ada', email: 'ada@example.org', deviceId })
  const { token } = await call(opened.page, 'signIn', { deviceId, pin: registered.pin })
  await authorize(opened.page, token)
  return opened
}

/** The page in a browser of its own, and what the browser complained about: policy violations and failed scripts. */
async function openPage(
  url: string,
  viewport = { width: 1280, height: 1000 },
): Promise<{ page: Page; complaints: string[] }> {
  const browser = await launch()
  onTestFinished(() => browser.close())
  const page = await browser.newPage({ viewport, isMobile: viewport.width < 600 })
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  await page.exposeFunction('complain', (complaint: string) => complaints.push(complaint))
  await page.addInitScript(`addEventListener('securitypolicyviolation', (violation) => {
    complain(violation.violatedDirective + ' forbids ' + violation.blockedURI)
  })`)
  await page.goto(url)
  await page.locator('.opblock').first().waitFor()
  return { page, complaints }
}

/** A file on disk that a browser takes for a photo. */
async function photoFile(name: string): Promise<{ path: string; bytes: Buffer }> {
  const path = join(await temporaryFolder(), name)
  const bytes = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(3 * 1024 * 1024)])
  await writeFile(path, bytes)
  return { path, bytes }
}

async function open(page: Page, operationId: string): Promise<Locator> {
  const block = page.locator(`.opblock[id$='-${operationId}']`)
  await block.locator('.opblock-summary-control').click()
  await block.locator('.execute').waitFor()
  return block
}

/** Presses Execute and reads the JSON that the page shows. */
async function execute(block: Locator): Promise<Record<string, string>> {
  await block.locator('.execute').click()
  const shown = block.locator('.live-responses-table .response-col_description .highlight-code').first()
  return JSON.parse((await shown.locator('code').textContent()) ?? '')
}

async function call(page: Page, operationId: string, body: Record<string, string | undefined>) {
  const block = await open(page, operationId)
  await block.locator('.body-param__text').fill(JSON.stringify(body))
  return execute(block)
}

async function authorize(page: Page, token: string | undefined) {
  await page.locator('.scheme-container .authorize').click()
  const dialog = page.locator('.dialog-ux')
  // The one for the cookie is hidden.
  await dialog.locator('input:visible').fill(token ?? '')
  await dialog.getByRole('button', { name: 'Apply credentials' }).click()
  await dialog.getByRole('button', { name: 'Close', exact: true }).click()
}

async function upload(page: Page, path: string) {
  const block = await open(page, 'uploadForm')
  await block.locator('input[type=file]').setInputFiles(path)
  return execute(block)
}

/** Gets the file through the page and saves it by its link. */
async function download(page: Page, name: string): Promise<{ name: string; bytes: Buffer }> {
  const block = await open(page, 'getFile')
  await block.getByPlaceholder('name', { exact: true }).fill(name)
  await block.locator('.execute').click()
  const [saved] = await Promise.all([page.waitForEvent('download'), block.getByText('Download file').click()])
  return { name: saved.suggestedFilename(), bytes: await readFile(await saved.path()) }
}

async function keepPicture(page: Page) {
  await mkdir('artifacts', { recursive: true })
  await page.locator(".opblock[id$='-getFile']").scrollIntoViewIfNeeded()
  await page.screenshot({ path: 'artifacts/swagger-ui.png' })
}
