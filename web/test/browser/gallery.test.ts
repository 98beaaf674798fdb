/** The gallery: very many files, and what a person does with them. */
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { picture } from '../../../clients/typescript/demo/pictures.ts'
import { type Call, call } from '../../../test/support/http.ts'
import { seed } from './seed.ts'
import { DESKTOP, openStage, PHONE, type Stage, signIn } from './stage.ts'

const YEAR_MS = 365.25 * 24 * 3600 * 1000
const NEWEST = Date.UTC(2026, 10, 20)
/** Elements in the document of a phone. The files are two hundred times as many. */
const MOST_ELEMENTS = 1200

const openCell = (page: Page, name: string) => page.locator('.cell > .open', { hasText: name }).or(cellWith(page, name))
const cellWith = (page: Page, name: string) => page.locator(`.cell > .open[title="${name}"]`)
const elements = (page: Page) => page.evaluate(() => document.querySelectorAll('*').length)

it('scrolls through 20,000 files with few elements, and forgets months that are far away', async () => {
  const stage = await openStage()
  stage.allowErrors(/401/)
  await signIn(stage)
  await stage.page.getByText('Nothing is here yet').waitFor()
  await stage.shot('gallery-empty-phone')
  await seed(stage.app.config.DATA_DIR, 20_000, { newest: NEWEST, oldest: NEWEST - 2 * YEAR_MS })
  const read: string[] = []
  stage.page.on('request', (request) => {
    if (request.url().includes('/v1/files?')) read.push(new URL(request.url()).searchParams.get('cursor') ?? '')
  })
  await stage.page.reload()
  await cellWith(stage.page, 'IMG_000000.jpg').waitFor()
  await stage.page.getByText('20,000 files').waitFor()
  await stage.page.waitForFunction(() => (document.querySelector<HTMLImageElement>('.cell img')?.naturalWidth ?? 0) > 0)
  await stage.shot('gallery-phone')

  // With the wheel, from picture to picture.
  await stage.page.mouse.move(180, 400)
  for (let turn = 0; turn < 10; turn += 1) {
    await stage.page.mouse.wheel(0, 1200)
    await loadedAt(stage.page, 300)
    expect(await elements(stage.page)).toBeLessThan(MOST_ELEMENTS)
  }
  await expect.poll(() => stage.page.evaluate(() => scrollY)).toBeGreaterThan(10_000)

  // With the scrubber, from month to month.
  const date = stage.page.getByRole('slider', { name: 'Date' })
  await date.focus()
  expect(await date.getAttribute('aria-valuetext')).toMatch(/^November 2026, \d+ files$/)
  for (let month = 0; month < 12; month += 1) {
    await date.press('ArrowDown')
    await loadedAt(stage.page, 300)
    expect(await elements(stage.page)).toBeLessThan(MOST_ELEMENTS)
  }
  expect(await date.getAttribute('aria-valuetext')).toMatch(/^November 2025/)
  await stage.shot('gallery-scrubber-phone')
  await date.press('End')
  await stage.page.evaluate(() => scrollTo(0, document.body.scrollHeight))
  await cellWith(stage.page, 'Letter_019999.pdf').waitFor()
  const before = read.length
  await date.press('Home')
  await loadedAt(stage.page, 500)
  expect(read.length, 'the newest month was forgotten, and is read again').toBeGreaterThan(before)

  // Another screen, and back to the same place.
  await date.press('PageDown')
  await loadedAt(stage.page, 300)
  const place = await date.getAttribute('aria-valuetext')
  await stage.page.getByRole('link', { name: 'Trash' }).click()
  await stage.page.getByRole('heading', { name: 'Trash' }).waitFor()
  await stage.page.getByRole('link', { name: 'Photos' }).click()
  await loadedAt(stage.page, 300)
  expect(await date.getAttribute('aria-valuetext')).toBe(place)

  // Dragging by the pointer.
  const box = await date.boundingBox()
  if (!box) throw new Error('there is no scrubber')
  await stage.page.mouse.move(box.x + 20, box.y + 5)
  await stage.page.mouse.down()
  await stage.page.mouse.move(box.x + 20, box.y + box.height / 2, { steps: 8 })
  await stage.page.locator('.bubble', { hasText: '2025' }).waitFor()
  await stage.shot('gallery-dragging-phone')
  await stage.page.mouse.up()
  await loadedAt(stage.page, 300)

  await stage.page.evaluate(() => scrollTo(0, 0))
  await stage.page.getByRole('radio', { name: 'Videos' }).check()
  await cellWith(stage.page, 'VID_000020.mp4').waitFor()
  expect(await stage.page.locator('.cell img[alt^="IMG"]').count()).toBe(0)
  await stage.shot('gallery-videos-phone')
  await stage.page.getByRole('radio', { name: 'All' }).check()
  await stage.page.getByRole('searchbox', { name: 'Search by name' }).fill('Letter_019')
  await cellWith(stage.page, 'Letter_019999.pdf').waitFor()
  expect(await stage.page.locator('.cell').count()).toBe(10)
  await stage.shot('gallery-search-phone')
  await stage.page.getByRole('searchbox', { name: 'Search by name' }).fill('nothing')
  await stage.page.getByText('No name begins with “nothing”').waitFor()
  await stage.shot('gallery-nothing-found-phone')
  await stage.page.getByRole('searchbox', { name: 'Search by name' }).fill('')
  await cellWith(stage.page, 'IMG_000000.jpg').waitFor()
})

/** Waits until there is a file at this height of the window, not a placeholder. */
async function loadedAt(page: Page, y: number): Promise<void> {
  await page.waitForFunction(
    ([y]) => [y, Number(y) + 60].some((y) => document.elementFromPoint(60, Number(y))?.closest('.cell')),
    [y],
  )
}

it('selects, downloads, renames, deletes and takes back', async () => {
  const stage = await openStage({ viewport: DESKTOP, QUOTA_BYTES: '10000000' })
  stage.allowErrors(/401|409/)
  const { page } = stage
  const { request } = await vaultOf(stage, 8)
  await stage.shot('gallery-few-desktop')

  // A range, everything, and nothing.
  await cellWith(page, 'photo-1.jpg').hover()
  await page.getByRole('button', { name: 'Select photo-1.jpg' }).click()
  await page.getByText('1 selected').waitFor()
  await cellWith(page, 'photo-4.jpg').click({ modifiers: ['Shift'] })
  await page.getByText('4 selected').waitFor()
  await stage.shot('gallery-selected-desktop')
  const zip = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download' }).click()
  expect((await zip).url()).toMatch(/\/v1\/me\/export\?ids=([\w-]+(,|%2C)){3}[\w-]+$/)
  await page.keyboard.press('Control+a')
  await page.getByText('9 selected').waitFor()
  await page.keyboard.press('Escape')
  await page.getByText('9 selected').waitFor({ state: 'detached' })

  // By keyboard: the arrows move, and Space selects.
  await cellWith(page, 'photo-0.jpg').focus()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('Space')
  expect(await cellWith(page, 'photo-1.jpg').getAttribute('aria-pressed')).toBe('true')

  await page.keyboard.press('Space')

  // The viewer goes on in the next month.
  await cellWith(page, 'photo-2.jpg').click()
  const viewer = page.getByRole('dialog')
  await viewer.getByRole('heading', { name: 'photo-2.jpg' }).waitFor()
  await viewer.getByRole('button', { name: 'Next', exact: true }).click()
  await viewer.getByRole('heading', { name: 'photo-3.jpg' }).waitFor()
  await page.keyboard.press('Escape')
  await viewer.waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Select photo-1.jpg' }).click()

  // A name that is taken, and one that is free.
  await page.getByRole('button', { name: 'Rename' }).click()
  const dialog = page.getByRole('dialog', { name: 'Rename file' })
  await dialog.getByLabel('New name').fill('photo-2.jpg')
  await dialog.getByRole('button', { name: 'Rename' }).click()
  await dialog.getByText('This name is taken').waitFor()
  await stage.shot('gallery-rename-desktop')
  await dialog.getByLabel('New name').fill('sea.jpg')
  await page.keyboard.press('Enter')
  await dialog.waitFor({ state: 'detached' })
  // Its picture has another URL now.
  const isLoaded = () =>
    cellWith(page, 'sea.jpg')
      .locator('img')
      .evaluate((image) => (image as HTMLImageElement).complete)
  await expect.poll(isLoaded).toBe(true)

  // To the trash and back.
  await page.getByRole('button', { name: 'Select sea.jpg' }).click()
  await cellWith(page, 'photo-2.jpg').click()
  await page.getByRole('button', { name: 'Move to trash' }).click()
  await page.getByText('2 files are in the trash.').waitFor()
  expect(await cellWith(page, 'sea.jpg').count()).toBe(0)
  await stage.shot('gallery-deleted-desktop')
  await page.getByRole('button', { name: 'Undo' }).click()
  await cellWith(page, 'sea.jpg').waitFor()
  await cellWith(page, 'photo-2.jpg').waitFor()

  // A file that is not shown is saved.
  const saved = page.waitForEvent('download')
  await openCell(page, 'letter.pdf').first().click()
  expect((await saved).suggestedFilename()).toBe('letter.pdf')

  // Another device adds a file, and the page sees it by itself.
  await page.clock.install()
  const counted = page.waitForResponse('**/v1/timeline*')
  await page.reload()
  await (await counted).finished()
  await cellWith(page, 'sea.jpg').waitFor()
  await request('/v1/files/other.jpg?takenAt=2026-09-01T10:00:00Z', { method: 'PUT', body: 'other' })
  await page.clock.fastForward('01:05')
  await cellWith(page, 'other.jpg').waitFor()
  await page.getByText('10 files').waitFor()
})

it('selects by a long press, says what went wrong, and forgets all when the session ends', async () => {
  const stage = await openStage({ viewport: PHONE, dark: true })
  stage.allowErrors(/401|403/)
  const { page } = stage
  const { request } = await vaultOf(stage, 5)
  await stage.shot('gallery-few-phone-dark')
  for (const [name, count] of [
    ['photo-1.jpg', '1 selected'],
    ['photo-3.jpg', '3 selected'],
  ] as const) {
    const cell = cellWith(page, name)
    await cell.dispatchEvent('pointerdown', { pointerType: 'touch', isPrimary: true, clientX: 50, clientY: 300 })
    await page.getByText(count).waitFor()
    await cell.dispatchEvent('pointerup', { pointerType: 'touch', isPrimary: true })
    await cell.dispatchEvent('click')
  }
  await cellWith(page, 'photo-0.jpg').tap()
  await page.getByText('4 selected').waitFor()
  await stage.shot('gallery-selected-phone-dark')

  await page.route('**/v1/timeline*', (route) => route.fulfill({ status: 403, body: '' }))
  await page.reload()
  await page.getByText('Your files could not be loaded.').waitFor()
  await stage.shot('gallery-failed-phone-dark')
  await page.unroute('**/v1/timeline*')
  await page.getByRole('button', { name: 'Try again' }).click()
  await cellWith(page, 'photo-1.jpg').waitFor()

  await page.getByRole('radio', { name: 'Photos' }).check()
  await request('/v1/sessions', { method: 'DELETE' })
  await page.getByRole('searchbox').fill('photo-2')
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  expect(await page.locator('.cell').count()).toBe(0)
})

/** A vault with some photos, the newest first by number, and one letter. */
async function vaultOf(stage: Stage, photos: number) {
  const { authorization } = await signIn(stage)
  const request = (path: string, { headers = {}, ...options }: Call = {}) =>
    call(stage.app.url + path, { ...options, headers: { authorization, ...headers } })
  for (let n = 0; n < photos; n += 1) {
    const takenAt = `2026-0${8 - Math.floor(n / 3)}-14T10:00:${String(50 - n)}+02:00`
    const { jpeg, thumbnail } = picture(n, takenAt)
    await request(`/v1/files/photo-${n}.jpg?takenAt=${encodeURIComponent(takenAt)}`, { method: 'PUT', body: jpeg })
    const headers = { 'content-type': 'image/jpeg' }
    await request(`/v1/files/photo-${n}.jpg/thumbnail`, { method: 'PUT', body: thumbnail, headers })
  }
  await request('/v1/files/letter.pdf?takenAt=2025-01-01T10:00:00Z', { method: 'PUT', body: 'letter' })
  await stage.page.reload()
  await cellWith(stage.page, 'letter.pdf').waitFor()
  return { request }
}
