/** The web vault in a real Chromium, on a real server. A message of an error in the console, or a blocked request, fails the test. */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, expect, onTestFinished } from 'vitest'
import { type TestApp, testApp } from '../../../test/support/app.ts'
import { launch } from '../../../test/support/browser.ts'
import { WEB_FOLDER } from '../../../test/support/build.ts'

export const PHONE = { width: 360, height: 740 }
export const DESKTOP = { width: 1920, height: 1080 }

const SCREENSHOTS = join(import.meta.dirname, '..', '..', '..', 'artifacts', 'screens')
/** Chromium says so of every page over plain HTTP, unless it is of this machine. */
const IGNORED = /Cross-Origin-Opener-Policy header has been ignored/

let browser: Promise<Browser> | null = null

afterAll(async () => {
  await (await browser)?.close()
  browser = null
})

export interface Stage {
  app: TestApp
  page: Page
  context: BrowserContext
  /** Another device: its own cookies and storage. */
  anotherDevice(viewport?: { width: number; height: number }): Promise<Page>
  /** Takes a picture of the page, for a person to look at, into `artifacts/screens/`. */
  shot(name: string, of?: Page): Promise<void>
  /** The test expects messages in the console that match: for example of a refused request. */
  allowErrors(pattern: RegExp): void
}

/** Anything else is a setting of the server. */
type Options = { [setting: string]: unknown } & {
  viewport?: { width: number; height: number }
  locale?: string
  dark?: boolean
}

/** A server, and a page that shows its start. */
export async function openStage({
  viewport = PHONE,
  locale = 'en-GB',
  dark = false,
  ...settings
}: Options = {}): Promise<Stage> {
  const app = await testApp(settings as Parameters<typeof testApp>[0], undefined, { web: WEB_FOLDER })
  browser ??= launch()
  const opened = await browser
  const allowed: RegExp[] = [IGNORED]
  const complaints: string[] = []
  onTestFinished(() => expect(complaints.filter((text) => !allowed.some((pattern) => pattern.test(text)))).toEqual([]))

  const device = async (size: { width: number; height: number }) => {
    const isPhone = size.width < 800
    const context = await opened.newContext({
      viewport: size,
      locale,
      hasTouch: isPhone,
      isMobile: isPhone,
      colorScheme: dark ? 'dark' : 'light',
      acceptDownloads: true,
    })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(app.url))
        complaints.push(`another host: ${request.url()}`)
    })
    await page.goto(app.url)
    return { context, page }
  }

  const { context, page } = await device(viewport)
  return {
    app,
    page,
    context,
    anotherDevice: async (size = viewport) => (await device(size)).page,
    async shot(name, of = page) {
      mkdirSync(SCREENSHOTS, { recursive: true })
      await of.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
    },
    allowErrors: (pattern) => void allowed.push(pattern),
  }
}

/** Signs a page in without its forms: for tests of what comes after. Returns headers for requests of the test itself. */
export async function signIn({ app, page }: Pick<Stage, 'app' | 'page'>): Promise<{ authorization: string }> {
  const email = `${randomBytes(6).toString('hex')}@example.org`
  const own = `test-${randomBytes(8).toString('hex')}`
  const { pin } = (await app.post('/v1/users', { name: 'Ada', email, deviceId: own })).body as { pin: string }
  const { token } = (await app.post('/v1/sessions', { deviceId: own, pin })).body as { token: string }
  const authorization = `Bearer ${token}`
  const deviceId = `page-${randomBytes(8).toString('hex')}`
  const paired = await app.post('/v1/pins', { deviceId }, { authorization })
  const status = await page.evaluate(
    async ([deviceId, pin]) => {
      localStorage.setItem('device-id', String(deviceId))
      const body = JSON.stringify({ deviceId, pin, cookie: true, deviceName: 'Chromium' })
      const headers = { 'content-type': 'application/json' }
      return (await fetch('/v1/sessions', { method: 'POST', headers, body })).status
    },
    [deviceId, (paired.body as { pin: string }).pin],
  )
  expect(status).toBe(201)
  await page.reload()
  return { authorization }
}

/** Sets the clock of the server to that of the browser, for tests of the time that is left. */
export function inStep({ app }: Pick<Stage, 'app'>): void {
  app.clock.turn(Date.now() - app.clock())
}

/** The first step of the sign-in. Without a name it is one of somebody who has a vault. */
export async function askForPin(page: Page, { name, email }: { name?: string; email: string }): Promise<void> {
  await page.getByRole('radio', { name: name === undefined ? 'I have a vault' : 'I am new' }).check()
  if (name !== undefined) await page.getByLabel('Name').fill(name)
  await page.getByLabel('E-mail address').fill(email)
  await page.getByRole('button', { name: 'Get a PIN' }).click()
}
