/** The account, and what happened to it. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { otherThan } from '../../../test/support/app.ts'
import { askForPin, DESKTOP, inStep, openStage, signIn } from './stage.ts'

it('tells what happened in words, with possible break-ins on top', async () => {
  const stage = await openStage({ viewport: DESKTOP })
  stage.allowErrors(/status of 401/)
  inStep(stage)
  const { app, page } = stage
  const { authorization } = await signIn(stage)
  // Otherwise it may show the file, whose picture is gone a moment later.
  await page.getByText('Nothing is here yet.').waitFor()
  const deviceId = `thief-${randomBytes(8).toString('hex')}`
  const { pin } = (await app.post('/v1/pins', { deviceId }, { authorization })).body as { pin: string }
  for (let guess = 0; guess < 3; guess += 1) await app.post('/v1/sessions', { deviceId, pin: otherThan(pin) })
  const bytes = { method: 'PUT', headers: { authorization }, body: 'bytes' }
  await app.request('/v1/files/beach.jpg', bytes)
  await app.request('/v1/files/beach.jpg', { method: 'DELETE', headers: { authorization } })
  await app.settled()

  await page.getByRole('link', { name: 'Activity' }).click()
  const alerts = page.getByRole('region', { name: 'Look at these' })
  await alerts.getByText('A wrong PIN was entered, 3 times').waitFor()
  // The session that made the account was this test's own.
  expect(await alerts.getByText('New device').count()).toBe(1)
  const everything = page.getByRole('region', { name: 'Everything' })
  await everything.getByText('New device: Chromium').getByText('This device').waitFor()
  await everything.getByText('One file moved to the trash').waitFor()
  await everything
    .getByText(/^A PIN was made for (Chromium|another device)$/)
    .first()
    .waitFor()
  await everything
    .getByText(/^today, \d\d:\d\d · 127\.0\.0\.1/)
    .first()
    .waitFor()
  await stage.shot('activity-desktop')
  await page.setViewportSize({ width: 360, height: 740 })
  await stage.shot('activity-phone')
})

it('shows the storage, speaks German, exports, and deletes the account after a second confirmation', async () => {
  const stage = await openStage({ QUOTA_BYTES: '1000000' })
  stage.allowErrors(/status of 401/)
  inStep(stage)
  const { app, page } = stage
  await askForPin(page, { name: 'Ada', email: 'ada@example.org' })
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
  await page.evaluate(() => fetch('/v1/files/beach.jpg', { method: 'PUT', body: 'x'.repeat(400_000) }))

  await page.getByRole('link', { name: 'Account' }).click()
  const meter = page.getByRole('meter', { name: 'Storage' })
  await page.getByText('400 kB of 1 MB').waitFor()
  expect(await meter.evaluate((element: HTMLMeterElement) => element.value)).toBeCloseTo(0.4, 2)
  await stage.shot('account-phone')
  await page.getByLabel('Hide the page when it was in the background for').selectOption('15 minutes')
  expect(await page.evaluate(() => localStorage.getItem('lock-minutes'))).toBe('15')
  const zip = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Export everything', exact: true }).click()
  expect((await zip).suggestedFilename()).toMatch(/\.zip$/)

  await page.getByLabel('Language').selectOption({ label: 'Deutsch' })
  await page.getByRole('heading', { name: 'Konto', exact: true }).waitFor()
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('de')
  await page.getByText('Eine Datei, 0 im Papierkorb').waitFor()
  await stage.shot('account-german-phone')
  await page.reload()

  await page.getByRole('button', { name: 'Mein Konto löschen …' }).click()
  const dialog = page.getByRole('dialog', { name: 'Alles endgültig löschen?' })
  const now = dialog.getByRole('button', { name: 'Endgültig löschen' })
  expect(await now.isDisabled()).toBe(true)
  await dialog.getByLabel('Geben Sie zur Bestätigung ada@example.org ein').fill('Ada@example.org ')
  await stage.shot('delete-german-phone')
  await now.click()
  await page.getByText('Ihr Konto und alle seine Dateien sind gelöscht.').waitFor()
  await page.getByRole('heading', { name: 'Tresor öffnen' }).waitFor()
  expect(await page.evaluate(async () => (await fetch('/v1/me')).status)).toBe(401)
  // The address is free again.
  expect((await app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId: 'device-1' })).status).toBe(
    201,
  )
})

it('is closed to pages of another origin: no frame, no storage, no window', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401|frame-ancestors|Framing|refused|another host|Cross-Origin/i)
  const { app, page, context } = stage
  await signIn(stage)
  const other = await context.newPage()
  // Another origin of the same machine.
  await other.route('http://localhost:1/', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<!doctype html><iframe></iframe>' }),
  )
  await other.goto('http://localhost:1/')
  const seen = await other.evaluate(async (vault) => {
    const read = (get: () => unknown) => {
      try {
        return get() ?? 'nothing'
      } catch {
        return 'refused'
      }
    }
    const frame = document.querySelector('iframe') as HTMLIFrameElement
    await new Promise((resolve) => {
      frame.onload = resolve
      frame.src = vault
    })
    const opened = window.open(vault)
    const isLoaded = () => !opened || opened.closed || read(() => opened.document) === 'refused'
    while (!isLoaded()) await new Promise((resolve) => setTimeout(resolve, 20))
    const documentOf = (target: Window | null | undefined) => read(() => target?.document.body.textContent)
    const storageOf = (target: Window | null | undefined) => read(() => target?.localStorage.getItem('device-id'))
    return [frame.contentWindow, opened].flatMap((target) => [documentOf(target), storageOf(target)])
  }, app.url)
  for (const found of seen) expect(['refused', 'nothing']).toContain(found)
  const frame = other.frames().find((frame) => frame !== other.mainFrame())
  expect(frame?.url()).toMatch(/^chrome-error:/)
  expect(await page.evaluate(() => localStorage.getItem('device-id'))).toMatch(/^page-/)
})
