/** Devices that sign each other in and out. */
import type { Page } from 'playwright-core'
import decodeQR from 'qr/decode.js'
import { expect, it } from 'vitest'
import { MINUTE } from '../../../test/support/app.ts'
import { DESKTOP, inStep, openStage, signIn } from './stage.ts'

it('adds a device by a picture, and signs it out at once', async () => {
  const stage = await openStage({ viewport: DESKTOP })
  stage.allowErrors(/status of 401/)
  inStep(stage)
  const { app, page } = stage
  await signIn(stage)
  await page.getByRole('link', { name: 'Devices' }).click()
  const own = page.getByRole('listitem').filter({ hasText: 'This device' })
  await own.getByText(/^Last used today, \d\d:\d\d$/).waitFor()
  await page.getByRole('button', { name: 'Add a device' }).click()
  const dialog = page.getByRole('dialog', { name: 'Add a device' })
  await dialog.getByText(/^Good for [45]:\d\d$/).waitFor()
  await stage.shot('add-device-desktop')
  const link = await dialog.getByRole('textbox', { name: 'Link' }).inputValue()
  const [, pin = ''] = /\.(\d{4})$/.exec(link) ?? []
  expect(await dialog.getByText(pin, { exact: true }).isVisible()).toBe(true)
  expect(decodeQR(await pixelsOf(page))).toBe(link)

  const phone = await stage.anotherDevice({ width: 360, height: 740 })
  await phone.goto(link)
  await phone.getByRole('heading', { name: 'Sign this device in?' }).waitFor()
  // Neither the address nor the history has the PIN.
  expect(phone.url()).toBe(`${app.url}/`)
  await phone.getByLabel('Name of this device').fill('Phone of Ada')
  await stage.shot('pair-phone', phone)
  await phone.getByRole('button', { name: 'Sign in' }).click()
  await phone.getByText(/^This is the vault of Ada \(.*@example\.org\)\.$/).waitFor()
  expect(await phone.getByRole('button', { name: 'Add files' }).count()).toBe(0)
  await phone.reload()
  await phone.getByRole('heading', { name: 'Is this your vault?' }).waitFor()
  await stage.shot('entered-phone', phone)
  await phone.getByRole('button', { name: 'Continue' }).click()
  await phone.getByRole('heading', { name: 'Photos' }).waitFor()
  // Whoever made the link knows its id, so it does not become the id of this device.
  const kept = await phone.evaluate(() => Object.values<string>(localStorage))
  expect(kept.filter((text) => link.includes(text))).toEqual([])
  await page.getByText('Phone of Ada is signed in.').waitFor()
  await dialog.waitFor({ state: 'detached' })
  await page.getByRole('listitem').filter({ hasText: 'Phone of Ada' }).waitFor()
  await stage.shot('devices-desktop')
  await phone.getByRole('link', { name: 'Devices' }).click()
  await phone.getByRole('listitem').filter({ hasText: 'Phone of Ada' }).getByText('This device').waitFor()
  await stage.shot('devices-phone', phone)

  await page.getByRole('button', { name: 'Sign out Phone of Ada' }).click()
  const question = page.getByRole('dialog', { name: 'Sign out Phone of Ada?' })
  await stage.shot('sign-out-desktop')
  await question.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('Phone of Ada is signed out.').waitFor()
  await phone.getByRole('link', { name: 'Activity' }).click()
  await phone.getByText('You are signed out.').waitFor()
  await phone.getByRole('heading', { name: 'Open your vault' }).waitFor()

  // The link has done its work, and the page of a user asks before it takes another vault.
  await page.goto(link)
  await page.getByText(/^You are signed in here as Ada/).waitFor()
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('This QR code has expired or was used already.').waitFor()
  await stage.shot('pair-refused-desktop')
  await page.getByRole('button', { name: 'Not now' }).click()
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
})

it('shows a picture only as long as it counts', async () => {
  const stage = await openStage({ dark: true })
  stage.allowErrors(/status of 401/)
  inStep(stage)
  const { page, app } = stage
  await page.clock.install()
  const { authorization } = await signIn(stage)
  await page.goto(`${app.url}/#/devices`)
  await page.getByRole('button', { name: 'Add a device' }).click()
  const picture = page.getByRole('img', { name: 'QR code that signs a device in' })
  await picture.waitFor()
  await stage.shot('add-device-phone-dark')
  await page.clock.fastForward(5 * MINUTE)
  await page.getByText('The code has expired.').waitFor()
  expect(await picture.count()).toBe(0)
  app.clock.turn(5 * MINUTE)
  await page.getByRole('button', { name: 'New code' }).click()
  await picture.waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Sign out all others' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out all others' }).click()
  await page.getByText('All other devices are signed out.').waitFor()
  // Its button has the name of the one on the page.
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  expect((await app.request('/v1/me', { headers: { authorization } })).status).toBe(401)
  await page.getByRole('button', { name: 'Sign out all others' }).waitFor({ state: 'detached' })
})

it('shows a picture until a new device is there', async () => {
  const stage = await openStage({ viewport: DESKTOP })
  stage.allowErrors(/status of 401/)
  inStep(stage)
  const { page, app } = stage
  const headers = await signIn(stage)
  const enter = async (deviceId: string, deviceName: string) => {
    const { pin } = (await app.post('/v1/pins', { deviceId }, headers)).body as { pin: string }
    expect((await app.post('/v1/sessions', { deviceId, pin, deviceName })).status).toBe(201)
  }
  const looks = async (times: number) => {
    for (let n = 0; n < times; n += 1) await page.waitForResponse((response) => response.url().endsWith('/v1/sessions'))
  }
  await page.goto(`${app.url}/#/devices`)
  await page.getByText('This device').waitFor()

  // It came while the list was on the screen, and signs in anew while the picture is.
  await enter('tablet-0123456789', 'Tablet')
  await page.getByRole('button', { name: 'Add a device' }).click()
  const picture = page.getByRole('img', { name: 'QR code that signs a device in' })
  await picture.waitFor()
  await looks(2)
  await enter('tablet-0123456789', 'Tablet')
  await looks(2)
  expect(await picture.isVisible()).toBe(true)

  await enter('phone-0123456789', 'Phone')
  await page.getByText('Phone is signed in.').waitFor()
  await picture.waitFor({ state: 'detached' })
})

it('says that a link for pairing is cut', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401/)
  await stage.page.goto(`${stage.app.url}/#pair=app-0123.12`)
  await stage.page.getByText('This link is not complete.').waitFor()
  expect(stage.page.url()).toBe(`${stage.app.url}/`)
})

/** The QR code as a camera sees it. */
async function pixelsOf(page: Page): Promise<{ width: number; height: number; data: Uint8Array }> {
  const svg = page.getByRole('img', { name: 'QR code that signs a device in' })
  await svg.locator('path[d^="M"]').waitFor({ state: 'attached' })
  const path = String(await svg.locator('path').getAttribute('d'))
  const modules = Number(String(await svg.getAttribute('viewBox')).split(' ')[2])
  const scale = 6
  const size = modules * scale
  const data = new Uint8Array(size * size * 4).fill(255)
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)/g)) {
    for (let row = 0; row < scale; row += 1) {
      for (let column = 0; column < scale; column += 1) {
        const at = ((Number(y) * scale + row) * size + Number(x) * scale + column) * 4
        data.fill(0, at, at + 3)
      }
    }
  }
  return { width: size, height: size, data }
}
