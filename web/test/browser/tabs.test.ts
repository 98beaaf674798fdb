/** Two tabs of one browser have one cookie. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { DESKTOP, openStage, type Stage, signIn } from './stage.ts'

/** The link of a picture of another user, and headers for that user's requests. */
async function stranger(app: Stage['app'], name: string, email = `${name}@example.org`) {
  const deviceId = `own-${randomBytes(8).toString('hex')}`
  const { pin } = (await app.post('/v1/users', { name, email, deviceId })).body as { pin: string }
  const { token } = (await app.post('/v1/sessions', { deviceId, pin })).body as { token: string }
  const headers = { authorization: `Bearer ${token}` }
  const paired = `link-${randomBytes(8).toString('hex')}`
  const shown = (await app.post('/v1/pins', { deviceId: paired }, headers)).body as { pin: string }
  return { headers, link: `${app.url}/#pair=${paired}.${shown.pin}`, paired }
}

async function namesOf(app: Stage['app'], headers: { authorization: string }): Promise<string[]> {
  const { files } = (await app.request('/v1/files', { headers })).body as { files: { name: string }[] }
  return files.map(({ name }) => name)
}

const sand = { name: 'sand.txt', mimeType: 'text/plain', buffer: Buffer.from('sand') }

it('a file is in nobody’s vault but its user’s, also if no tab hears of another', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401/)
  const { app, page, context } = stage
  await context.addInitScript(() => {
    BroadcastChannel.prototype.postMessage = () => {}
  })
  const ada = await signIn(stage)
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
  const eve = await stranger(app, 'Eve')
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })

  const tab = await context.newPage()
  await tab.goto(eve.link)
  await tab.getByText(/^You are signed in here as Ada/).waitFor()
  await tab.getByRole('button', { name: 'Sign in' }).click()
  await tab.getByText('This is the vault of Eve (Eve@example.org).').waitFor()

  await page.getByRole('button', { name: 'Add files' }).click()
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('menuitem', { name: 'Choose files' }).click()
  await (await chooser).setFiles([sand])
  // This page asks, too, and takes nothing before that.
  await page.getByText('This is the vault of Eve (Eve@example.org).').waitFor()
  expect(await namesOf(app, eve.headers)).toEqual(['shell.txt'])
  expect(await namesOf(app, ada)).toEqual([])
})

it('a link to a stranger’s vault leaves nothing behind', async () => {
  const stage = await openStage({ locale: 'de-DE', viewport: DESKTOP, dark: true })
  stage.allowErrors(/status of 401/)
  const { app, page } = stage
  await page.getByRole('heading', { name: 'Tresor öffnen' }).waitFor()
  const eve = await stranger(app, 'Eve')
  await page.goto(eve.link)
  await page.getByRole('button', { name: 'Anmelden' }).click()
  await page.getByText('Das ist der Tresor von Eve (Eve@example.org).').waitFor()
  await stage.shot('entered-desktop-dark')
  await page.getByRole('button', { name: 'Das ist nicht meiner: abmelden' }).click()
  await page.getByRole('heading', { name: 'Tresor öffnen' }).waitFor()
  expect(await page.evaluate(() => Object.keys(localStorage))).toEqual([])
})

it('the name of a stranger does not hide the address', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401/)
  const { app, page } = stage
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  const eve = await stranger(app, 'Ada (ada@example.org).\u202e\u2067', 'eve@example.com')
  await page.goto(eve.link)
  await page.getByRole('button', { name: 'Sign in' }).click()
  const text = await page.locator('.caution').textContent()
  expect(text).toBe('This is the vault of Ada (ada@example.org). (eve@example.com).')
})

it('the sign-in and the sign-out of one tab are those of all', async () => {
  const stage = await openStage()
  stage.allowErrors(/status of 401/)
  const { app, page, context } = stage
  await signIn(stage)
  await page.getByRole('link', { name: 'Trash' }).click()
  await page.getByRole('heading', { name: 'Trash' }).waitFor()
  const eve = await stranger(app, 'Eve')
  await app.request('/v1/files/shell.txt', { method: 'PUT', headers: eve.headers, body: 'pearl' })
  const tab = await context.newPage()
  await tab.goto(eve.link)
  await tab.getByRole('button', { name: 'Sign in' }).click()
  await tab.getByText('This is the vault of Eve (Eve@example.org).').waitFor()
  await page.getByText('This is the vault of Eve (Eve@example.org).').waitFor()
  await tab.getByRole('button', { name: 'Continue' }).click()
  await page.getByText('shell.txt').waitFor()

  await page.getByRole('link', { name: 'Account' }).click()
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  await tab.getByRole('heading', { name: 'Open your vault' }).waitFor()
})
