/** What axe finds in each screen: names, roles, contrast, focus, structure. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { askForPin, DESKTOP, inStep, openStage, PHONE, signIn } from './stage.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Finding {
  id: string
  impact: string | null
  nodes: { html: string; failureSummary: string }[]
}

/** Findings that keep somebody from using the page. */
async function findings(page: Page): Promise<string[]> {
  // The policy of the page allows no script in it, but the browser's own tools may run one.
  await page.evaluate(AXE)
  // Colours that are still changing have any contrast.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))),
  )
  const violations = (await page.evaluate(
    "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)",
  )) as Finding[]
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`))
}

/** Buttons and links that a finger may miss. A link within a sentence may be small, and a card may extend its button (`::after`). */
async function smallTargets(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('button, a[href]')].flatMap((control) => {
      const { width, height } = control.getBoundingClientRect()
      const isUnseen = !control.checkVisibility({ visibilityProperty: true }) || width <= 1
      const isInSentence = control.matches('p > a') && control.parentElement?.textContent !== control.textContent
      const isExtended = getComputedStyle(control, '::after').position === 'absolute'
      // Half a pixel is lost where the browser rounds.
      if (isUnseen || isInSentence || isExtended || Math.min(width, height) >= 43.5) return []
      return [`target-size: ${control.outerHTML.slice(0, 120)} is ${width} × ${height}`]
    }),
  )
}

it.each([
  ['on a phone', { viewport: PHONE }],
  ['on a desktop in the dark', { viewport: DESKTOP, dark: true }],
])('finds nothing serious %s', async (_where, options) => {
  const stage = await openStage(options)
  stage.allowErrors(
    /status of (400|401|409|412)|ERR_INTERNET_DISCONNECTED|unknown error occurred when fetching the script/,
  )
  inStep(stage)
  const { app, context, page } = stage
  const found: Record<string, string[]> = {}
  const look = async (state: string) => {
    const here = [...(await findings(page)), ...(await smallTargets(page))]
    if (here.length > 0) found[state] = here
  }
  const open = async (name: string) => {
    await page.getByRole('link', { name, exact: true }).click()
    await page.getByRole('heading', { name, level: 1 }).waitFor()
  }

  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  await look('sign-in')
  await askForPin(page, { name: 'A'.repeat(101), email: 'ada@example.org' })
  await page.getByText('A name has 1 to 100 characters.').waitFor()
  await look('sign-in with errors')
  await askForPin(page, { email: 'ada@example.org' })
  await page.getByRole('button', { name: 'I have a PIN' }).waitFor()
  await look('ways back')
  await page.getByRole('button', { name: 'Use another address' }).click()
  await askForPin(page, { name: 'Ada', email: 'ada@example.org' })
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  await look('PIN')

  const { authorization } = await signIn(stage)
  for (const name of ['beach.jpg', 'notes.txt']) {
    await app.request(`/v1/files/${name}`, { method: 'PUT', headers: { authorization }, body: name })
  }
  await app.request('/v1/files/notes.txt', { method: 'DELETE', headers: { authorization } })
  await page.reload()
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
  await look('photos')
  await page.getByTitle('beach.jpg', { exact: true }).click()
  const viewer = page.getByRole('dialog', { name: 'beach.jpg' })
  await viewer.getByRole('button', { name: 'Try again' }).waitFor()
  await look('viewer: a broken picture')
  await viewer.getByRole('button', { name: 'Details' }).click()
  await viewer.getByRole('button', { name: 'Change the date' }).click()
  await look('viewer: details')
  await viewer.getByRole('button', { name: 'Cancel' }).click()
  await viewer.getByRole('button', { name: 'Close' }).first().click()
  await viewer.waitFor({ state: 'detached' })

  const cell = page.getByTitle('beach.jpg', { exact: true })
  await cell.dispatchEvent('pointerdown', { pointerType: 'touch', isPrimary: true, clientX: 50, clientY: 300 })
  await page.getByText('1 selected').waitFor()
  await cell.dispatchEvent('pointerup', { pointerType: 'touch', isPrimary: true })
  await look('photos: selected')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Add files' }).click()
  await look('photos: ways to add files')
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('menuitem', { name: 'Choose files' }).click()
  const files = ['beach.jpg', 'new.txt'].map((name) => ({ name, mimeType: '', buffer: Buffer.from(`other ${name}`) }))
  await (await chooser).setFiles(files)
  await page.getByRole('dialog', { name: 'Some names are taken' }).waitFor()
  await look('uploads: question')
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  await page
    .getByRole('region', { name: 'Uploads' })
    .getByRole('heading', { name: /^Names that are taken/ })
    .waitFor()
  await page.getByRole('button', { name: 'Show the list of uploads' }).click()
  await look('uploads')
  await context.setOffline(true)
  await page.getByRole('status').getByText('You are offline.').waitFor()
  await look('offline')
  await context.setOffline(false)
  await page.getByRole('button', { name: 'Decide' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Skip', exact: true }).click()
  await page.getByRole('region', { name: 'Uploads' }).getByRole('button', { name: 'Close' }).click()

  await open('Trash')
  await look('trash')
  await page.getByRole('button', { name: 'Delete notes.txt for good' }).click()
  await look('trash: question')
  await page.keyboard.press('Escape')

  await open('Devices')
  await look('devices')
  await page.getByRole('button', { name: 'Add a device' }).click()
  await page.getByRole('textbox', { name: 'Link' }).waitFor()
  await look('devices: picture')
  await page.keyboard.press('Escape')

  await open('Activity')
  await page.getByRole('region', { name: 'Look at these' }).waitFor()
  await look('activity')
  await open('Account')
  await look('account')
  await page.getByRole('button', { name: 'Delete my account…' }).click()
  await look('account: deletion')
  await page.keyboard.press('Escape')

  const deviceId = 'app-0123456789abcdef'
  const { pin } = (await app.post('/v1/pins', { deviceId }, { authorization })).body as { pin: string }
  await page.goto(`${app.url}/#pair=${deviceId}.${pin}`)
  await page.getByRole('heading', { name: 'Sign this device in?' }).waitFor()
  await look('pairing')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Is this your vault?' }).waitFor()
  await look('pairing: question')
  expect(found).toEqual({})
})
