/** The ways in, and what the page says when one of them is closed. */
import { expect, it } from 'vitest'
import { MINUTE, otherThan } from '../../../test/support/app.ts'
import { mailSink, PATIENCE } from '../../../test/support/mail.ts'
import { operator } from '../../../test/support/operator.ts'
import { askForPin, DESKTOP, inStep, openStage, signIn } from './stage.ts'

const REFUSED = /status of (400|401|409|429)/

it('lets a new person in with the PIN that the page shows, and says which ways lead back', async () => {
  const stage = await openStage()
  stage.allowErrors(REFUSED)
  inStep(stage)
  const { page, context } = stage
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  await stage.shot('sign-in-phone')

  await page.getByLabel('Name').fill('A'.repeat(101))
  await page.getByLabel('E-mail address').fill('ada@example.org')
  await page.keyboard.press('Enter')
  await page.getByText('A name has 1 to 100 characters.').waitFor()
  expect(await page.getByLabel('Name').getAttribute('aria-invalid')).toBe('true')
  await stage.shot('sign-in-invalid-phone')

  await page.getByLabel('Name').fill('Ada')
  await page.keyboard.press('Enter')
  await page.getByText('This server shows the PIN here because it sends no mail.').waitFor()
  await page.getByText(/^Good for [45]:\d\d$/).waitFor()
  const pin = page.getByLabel('PIN', { exact: true })
  expect(await pin.inputValue()).toBe(await page.locator('output').textContent())
  expect(await pin.evaluate((input) => input === document.activeElement)).toBe(true)
  expect(await pin.getAttribute('autocomplete')).toBe('one-time-code')
  expect(await page.getByLabel('Name of this device').inputValue()).toBe('Chrome on Linux')
  await page.getByLabel('Name of this device').fill('Ada’s phone')
  await page.getByLabel('Sign out when this browser is closed').check()
  await stage.shot('sign-in-pin-phone')
  await pin.press('Enter')
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
  // The browser forgets a cookie without an age when it is closed.
  expect(await context.cookies()).toMatchObject([{ name: 'minikeepsafe', httpOnly: true, expires: -1 }])

  await page.getByRole('link', { name: 'Devices' }).click()
  await page.getByText('Ada’s phone').waitFor()
  await page.getByRole('link', { name: 'Account' }).click()
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()

  await askForPin(page, { name: 'Ada', email: 'ada@example.org' })
  await page.getByText('ada@example.org has a vault already.').waitFor()
  await page.getByRole('button', { name: 'Use another address' }).click()
  await askForPin(page, { email: 'ada@example.org' })
  await page.getByText('This server sends no PIN to an address.').waitFor()
  await page.getByText(await page.evaluate(() => String(localStorage.getItem('device-id')))).waitFor()
  await stage.shot('ways-back-phone')

  const deviceId = await page.evaluate(() => String(localStorage.getItem('device-id')))
  const { vault } = await operator(stage.app)
  const handedOut = await vault.handOutPin('ada@example.org', deviceId)
  await page.getByRole('button', { name: 'I have a PIN' }).click()
  await page.getByLabel('PIN', { exact: true }).fill(String(handedOut?.pin))
  expect(await page.getByLabel('Name of this device').inputValue()).toBe('Ada’s phone')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
})

it('explains a wrong and an expired PIN, and requests a new one', async () => {
  const stage = await openStage({ PIN_DELIVERY: 'console', viewport: DESKTOP, dark: true })
  stage.allowErrors(REFUSED)
  inStep(stage)
  const { app, page } = stage
  const pins = () => app.log.map((line) => /"pin":"(\d{4})"/.exec(line)?.[1]).filter((pin) => pin !== undefined)
  await askForPin(page, { name: 'Ada', email: 'ada@example.org' })
  await page.getByText('This server writes PINs into its log.').waitFor()
  await expect.poll(pins, PATIENCE).toHaveLength(1)
  const pin = page.getByLabel('PIN', { exact: true })

  await pin.fill('12')
  await pin.press('Enter')
  await page.getByText('A PIN has four digits.').waitFor()
  await pin.fill(otherThan(String(pins()[0])))
  await pin.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'This PIN does not open a vault.' }).waitFor()
  await stage.shot('wrong-pin-desktop-dark')

  app.clock.turn(6 * MINUTE)
  await pin.fill(String(pins()[0]))
  await pin.press('Enter')
  await page.getByRole('alert').filter({ hasText: 'expired' }).waitFor()
  await page.getByRole('button', { name: 'Get a new PIN' }).click()
  await page.getByText('A new PIN was made.').waitFor()
  await expect.poll(pins, PATIENCE).toHaveLength(2)
  await pin.fill(String(pins()[1]))
  await pin.press('Enter')
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
})

it('takes the long code that is mailed while PINs are paused, as people type it', async () => {
  const sink = await mailSink()
  const mail = { PIN_DELIVERY: 'email', SMTP_URL: sink.url, MAIL_FROM: 'vault@example.org' }
  const stage = await openStage({ ...mail, locale: 'de-DE' })
  stage.allowErrors(REFUSED)
  inStep(stage)
  const { app, page } = stage
  await page.getByLabel('Name').fill('Ada')
  await page.getByLabel('E-Mail-Adresse').fill('ada@example.org')
  await page.getByRole('button', { name: 'PIN anfordern' }).click()
  await page.getByText('Wenn dieser Server eine PIN an ada@example.org schicken kann').waitFor()
  await expect.poll(() => sink.mails, PATIENCE).toHaveLength(1)
  await stage.shot('sign-in-mail-german-phone')

  const deviceId = await page.evaluate(() => localStorage.getItem('device-id'))
  const sent = /\b\d{4}\b/.exec(sink.mails[0]?.plain ?? '')?.[0] ?? ''
  for (let guess = 0; guess < 5; guess += 1) await app.post('/v1/sessions', { deviceId, pin: otherThan(sent) })
  // The mail is faster than the response: what is typed meanwhile stays.
  let respond = () => {}
  const isTyped = new Promise<void>((resolve) => {
    respond = resolve
  })
  await page.route(/\/v1\/(users|pins)$/, async (route) => {
    const response = await route.fetch()
    await isTyped
    await route.fulfill({ response })
  })
  await page.getByRole('button', { name: 'Neue PIN anfordern' }).click()
  await expect.poll(() => sink.mails, PATIENCE).toHaveLength(2)
  const code = /\b[A-Z2-7]{4}(?:[ -]?[A-Z2-7]{4}){3}\b/.exec(sink.mails[1]?.plain ?? '')?.[0] ?? ''
  const pin = page.getByLabel('PIN', { exact: true })
  expect(await pin.getAttribute('inputmode')).toBe('numeric')
  await page.getByRole('button', { name: 'In meiner E-Mail steht ein langer Code' }).click()
  expect(await pin.getAttribute('inputmode')).toBe('text')
  await pin.fill(` ${code.toLowerCase().replaceAll('-', ' ')} `)
  respond()
  await page.getByText('Es gibt eine neue PIN.').waitFor()
  await page.getByRole('button', { name: 'Anmelden' }).click()
  await page.getByRole('heading', { name: 'Fotos' }).waitFor()
})

it('counts the time until the next try, and sends nothing before', async () => {
  const stage = await openStage({ RATE_LIMIT: 'on', RATE_LIMITS: 'sign-in=1/1m' })
  stage.allowErrors(REFUSED)
  inStep(stage)
  const { app, page } = stage
  await page.clock.install()
  await page.reload()
  await askForPin(page, { name: 'Ada', email: 'ada@example.org' })
  const right = String(await page.locator('output').textContent())
  const pin = page.getByLabel('PIN', { exact: true })
  const button = page.getByRole('button', { name: 'Sign in' })
  await pin.fill(otherThan(right))
  await button.click()
  await page.getByText('This PIN does not open a vault.').waitFor()
  await pin.fill(right)
  await button.click()
  await page.getByText('There were too many tries from your network.').waitFor()
  await page.getByText(/^Next try in (1:00|0:5\d)$/).waitFor()
  expect(await button.isDisabled()).toBe(true)
  await stage.shot('limited-phone')

  app.clock.turn(MINUTE)
  await page.clock.fastForward(MINUTE)
  await page.getByText('There were too many tries').waitFor({ state: 'detached' })
  await button.click()
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
})

it('says that the server cannot be reached', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401|ERR_INTERNET_DISCONNECTED/)
  const { page, context } = stage
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  await context.setOffline(true)
  await askForPin(page, { name: 'Ada', email: 'ada@example.org' })
  await page.getByRole('alert').filter({ hasText: 'The server cannot be reached.' }).waitFor()
  await context.setOffline(false)
  await page.getByRole('button', { name: 'Get a PIN' }).click()
  await page.getByRole('heading', { name: 'Enter your PIN' }).waitFor()
})

it('stays signed in if the sign-out fails, and says so', async () => {
  const stage = await openStage({ locale: 'de-DE' })
  stage.allowErrors(/status of (401|507)|ERR_INTERNET_DISCONNECTED/)
  const { page, context } = stage
  await signIn(stage)
  await page.getByRole('link', { name: 'Konto' }).click()
  const signOut = page.getByRole('button', { name: 'Abmelden', exact: true })
  const path = '**/v1/sessions/current'
  const problem = { type: 'about:blank', status: 507, code: 'insufficient-storage', detail: 'Full.' }
  await page.route(path, (route) =>
    route.fulfill({ status: 507, contentType: 'application/problem+json', body: JSON.stringify(problem) }),
  )
  await signOut.click()
  await page.getByText('Sie sind noch angemeldet. Auf dem Server ist kein Platz mehr.').waitFor()
  await page.unroute(path)
  await context.setOffline(true)
  await signOut.click()
  // Long before the client would stop trying again.
  await page.getByText('Sie sind noch angemeldet. Der Server ist nicht erreichbar.').waitFor({ timeout: 3000 })
  await stage.shot('still-signed-in-phone')
  await context.setOffline(false)
  await signOut.click()
  await page.getByRole('heading', { name: 'Tresor öffnen' }).waitFor()
})
