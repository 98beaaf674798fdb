import { randomBytes } from 'node:crypto'
import type { Locator, Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { type Color, jpegOf } from '../support/pictures.ts'
import { filmIn } from '../support/webm.ts'
import { DESKTOP, openStage, PHONE, type Stage, signIn } from './stage.ts'

const HUES: Record<string, Color> = {
  'dawn.jpg': [214, 120, 90],
  'noon.jpg': [90, 150, 214],
  'dusk.jpg': [90, 70, 130],
}

/** A sun above a sea, 1,200 × 800. */
const landscape = (hue: Color) =>
  jpegOf({
    ...{ width: 600, height: 400 },
    color: (x, y) => {
      if (Math.hypot(x - 400, y - 140) < 40) return [255, 244, 214]
      const share = y < 240 ? 1 - y / 480 : 0.35
      return [hue[0] * share, hue[1] * share, hue[2] * share + (y < 240 ? 0 : 50)]
    },
  })

async function put({ app }: Stage, headers: object, name: string, body: Buffer, contentType: string, takenAt: string) {
  const path = `/v1/files/${encodeURIComponent(name)}?takenAt=${encodeURIComponent(takenAt)}`
  const call = { method: 'PUT', headers: { ...headers, 'content-type': contentType }, body }
  expect((await app.request(path, call)).status).toBe(201)
}

/** Three photos of one day, a film, and files that are never shown. Newest first: dusk, noon, dawn, film. */
async function filled(options: Parameters<typeof openStage>[0]) {
  const stage = await openStage(options)
  stage.allowErrors(/401/)
  const headers = await signIn(stage)
  const days = { 'dawn.jpg': '05:30:00+02:00', 'noon.jpg': '12:00:00+02:00', 'dusk.jpg': '21:15:00+02:00' }
  for (const [name, time] of Object.entries(days))
    await put(stage, headers, name, landscape(HUES[name] as Color), 'image/jpeg', `2026-07-14T${time}`)
  await put(
    stage,
    headers,
    'drawing.svg',
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
    'image/svg+xml',
    '2026-07-13T12:00:00Z',
  )
  await put(stage, headers, 'page.html', Buffer.from('<script>alert(1)</script>'), 'text/html', '2026-07-13T12:00:00Z')
  await stage.page.reload()
  return { stage, headers, page: stage.page }
}

const viewer = (page: Page) => page.getByRole('dialog')
const open = (page: Page, name: string) => page.getByTitle(name, { exact: true }).click()
const title = (page: Page, name: string) => viewer(page).getByRole('heading', { name, exact: true }).waitFor()
const press = (page: Page, name: string) => viewer(page).getByRole('button', { name, exact: true }).click()
const pictureWidth = (page: Page) =>
  viewer(page)
    .locator('.pswp__item:not([inert]) img.pswp__img:not(.pswp__img--placeholder)')
    .evaluate((image) => Math.round(image.getBoundingClientRect().width))

/** As with a Japanese keyboard: a word is begun, and Escape takes it back. */
async function takeBackWord(page: Page, field: Locator) {
  await field.focus()
  const keyboard = await page.context().newCDPSession(page)
  await keyboard.send('Input.imeSetComposition', { text: 'にほん', selectionStart: 3, selectionEnd: 3 })
  const escapeKey = { key: 'Escape', code: 'Escape', windowsVirtualKeyCode: 27 }
  await keyboard.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', ...escapeKey })
  await keyboard.send('Input.dispatchKeyEvent', { type: 'keyUp', ...escapeKey })
  await keyboard.send('Input.imeSetComposition', { text: '', selectionStart: 0, selectionEnd: 0 })
}

it('shows pictures, one after the other, on a desktop', async () => {
  const { stage, page } = await filled({ viewport: DESKTOP })
  await page.getByRole('img', { name: 'noon.jpg' }).waitFor()
  await open(page, 'noon.jpg')
  await title(page, 'noon.jpg')
  await viewer(page)
    .getByText(/14 Jul.*, 12:00/)
    .waitFor()
  await expect.poll(() => pictureWidth(page)).toBe(1200)
  await stage.shot('viewer-desktop')

  // Keys: onwards, to the end, and zoom.
  await page.keyboard.press('ArrowRight')
  await title(page, 'dawn.jpg')
  await viewer(page).getByRole('button', { name: 'Next' }).waitFor({ state: 'hidden' })
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('ArrowLeft')
  await title(page, 'dusk.jpg')
  await expect.poll(() => pictureWidth(page)).toBe(1200)
  await page.keyboard.press('+')
  await expect.poll(() => pictureWidth(page)).toBe(1800)
  await viewer(page).getByRole('button', { name: 'Zoom out' }).waitFor()
  await page.keyboard.press('-')
  await expect.poll(() => pictureWidth(page)).toBe(1200)
  await press(page, 'Next')
  await title(page, 'noon.jpg')

  // The focus goes in, the page behind is inert, and Escape gives the focus back to the picture that was seen last.
  expect(await page.evaluate(() => document.querySelector('.shell')?.matches('[inert]'))).toBe(true)
  await page.keyboard.press('Escape')
  await viewer(page).waitFor({ state: 'detached' })
  expect(await page.evaluate(() => document.activeElement?.getAttribute('title'))).toBe('noon.jpg')

  // What is not a raster picture, sound or film is never shown.
  for (const name of ['drawing.svg', 'page.html']) {
    const [download] = await Promise.all([page.waitForEvent('download'), open(page, name)])
    expect(download.suggestedFilename()).toBe(name)
  }
  expect(await viewer(page).count()).toBe(0)
})

it('tells what is known of a file, and changes it', async () => {
  const { stage, page, headers } = await filled({ viewport: DESKTOP })
  // After its thumbnail, nothing else changes the file.
  await page.getByRole('img', { name: 'noon.jpg' }).waitFor()
  let deliver = () => {}
  const mayCome = new Promise<void>((resolve) => {
    deliver = resolve
  })
  await page.route('**/v1/files/noon.jpg?*', (route) => mayCome.then(() => route.continue()))
  await open(page, 'noon.jpg')
  await press(page, 'Details')
  const details = viewer(page).getByRole('complementary', { name: 'Details' })
  await details.getByText('image/jpeg').waitFor()
  expect(await details.getByText('600 × 400').count()).toBe(0)
  // The details show it once the picture is there.
  deliver()
  await details.getByText('600 × 400').waitFor()
  await stage.shot('viewer-details')

  await details.getByRole('button', { name: 'Change the date' }).click()
  const ids = await page.evaluate(() => [...document.querySelectorAll('[id]')].map(({ id }) => id))
  expect(new Set(ids).size).toBe(ids.length)
  expect(await details.getByLabel('Date taken').inputValue()).toBe('2026-07-14T12:00')
  await details.getByLabel('Date taken').fill('2026-07-15T12:00:30')
  await stage.shot('viewer-details-date')
  await details.getByRole('button', { name: 'Save' }).click()
  await details.getByText(/Wednesday,? 15 July 2026/).waitFor()
  const found = await stage.app.request('/v1/files?prefix=noon', { headers })
  expect(found.body).toMatchObject({ files: [{ takenAt: '2026-07-15T12:00:30.000+02:00' }] })

  await details.getByRole('button', { name: 'Rename' }).click()
  await takeBackWord(page, details.getByLabel('Name'))
  await details.getByLabel('Name').fill('dusk.jpg')
  stage.allowErrors(/409/)
  await page.keyboard.press('Enter')
  await details.getByText('Another file has this name.').waitFor()
  await stage.shot('viewer-details-name-taken')
  await details.getByLabel('Name').fill('midday.jpg')
  await page.keyboard.press('Enter')
  await title(page, 'midday.jpg')

  // Its new date is the newest one.
  await page.keyboard.press('Escape')
  await details.waitFor({ state: 'detached' })
  await press(page, 'Next')
  await title(page, 'dusk.jpg')

  // Another device signs this one out: nothing of the vault stays on the page.
  await stage.app.request('/v1/sessions', { method: 'DELETE', headers })
  await press(page, 'Move to trash')
  await viewer(page).waitFor({ state: 'detached' })
  await page.getByRole('heading', { name: 'Open your vault' }).waitFor()
})

it('opens by touch, closes by the back button, and undoes what was deleted', async () => {
  const { stage, page } = await filled({ viewport: PHONE })
  // A picture beside the deleted one may be on its way.
  stage.allowErrors(/404/)
  await page.getByTitle('noon.jpg', { exact: true }).tap()
  await title(page, 'noon.jpg')
  await expect.poll(() => pictureWidth(page)).toBe(360)
  await stage.shot('viewer-phone')
  await viewer(page).getByRole('button', { name: 'Details' }).tap()
  await viewer(page).getByText('600 × 400').waitFor()
  await stage.shot('viewer-phone-details')
  await viewer(page).getByRole('button', { name: 'Details', exact: true }).tap()

  const name = 'Move to trash'
  await viewer(page).getByRole('button', { name }).tap()
  await title(page, 'dawn.jpg')
  await stage.shot('viewer-phone-undo')
  await page.getByRole('button', { name: 'Undo' }).tap()
  await title(page, 'noon.jpg')
  for (const next of ['dawn.jpg', 'dusk.jpg']) {
    await viewer(page).getByRole('button', { name }).tap()
    await title(page, next)
  }
  await viewer(page).getByRole('button', { name }).tap()
  await viewer(page).waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Undo' }).last().tap()
  await page.getByTitle('dusk.jpg', { exact: true }).tap()
  await title(page, 'dusk.jpg')
  await page.goBack()
  await viewer(page).waitFor({ state: 'detached' })
  expect(new URL(page.url()).pathname).toBe('/')
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
})

it('swipes, and zooms with two fingers', async () => {
  const { page } = await filled({ viewport: PHONE })
  await page.getByTitle('noon.jpg', { exact: true }).tap()
  await title(page, 'noon.jpg')
  const touch = await page.context().newCDPSession(page)
  const fingers = (...points: [number, number][]) => points.map(([x, y], id) => ({ x, y, id }))
  const drag = async (paths: [number, number][][]) => {
    await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: fingers(...(paths[0] ?? [])) })
    for (const points of paths.slice(1))
      await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: fingers(...points) })
    await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  }
  await expect.poll(() => pictureWidth(page)).toBe(360)
  await drag([300, 240, 180, 120, 60, 40].map((x) => [[x, 300]]))
  await title(page, 'dawn.jpg')
  await drag([60, 120, 180, 240, 300, 320].map((x) => [[x, 300]]))
  await title(page, 'noon.jpg')
  await expect.poll(() => pictureWidth(page)).toBe(360)
  await drag(
    [10, 40, 80, 120, 150].map((by) => [
      [180 - by, 370],
      [180 + by, 370],
    ]),
  )
  await expect.poll(() => pictureWidth(page)).toBeGreaterThan(700)
})

it('plays a film by ranges, and stops it when it is left', async () => {
  const { stage, page, headers } = await filled({ viewport: DESKTOP })
  const colors = Array.from({ length: 20 }, (_, at) => `hsl(${at * 12} 50% 45%)`)
  const film = await filmIn(page, { colors, width: 640, height: 360, stepMs: 1000, paddingBytes: 2_000_000 })
  await put(stage, headers, 'film.webm', film, 'video/webm', '2026-07-14T04:00:00+02:00')
  await put(stage, headers, 'phone.heic', randomBytes(3000), 'image/heic', '2026-07-14T03:00:00+02:00')
  await page.reload()
  const ranges: string[] = []
  page.on('request', (request) => {
    if (request.url().includes('film.webm')) ranges.push(request.headers().range ?? '')
  })
  await open(page, 'dawn.jpg')
  await press(page, 'Next')
  await title(page, 'film.webm')
  const video = viewer(page).locator('video')
  await video.evaluate(async (video: HTMLVideoElement) => {
    video.muted = true
    await video.play()
  })
  await stage.shot('viewer-film')
  // A click on the player is not for the viewer.
  await video.click({ position: { x: 200, y: 200 } })
  await expect.poll(() => video.evaluate((video: HTMLVideoElement) => video.paused)).toBe(true)
  await video.evaluate((video: HTMLVideoElement) => video.play())
  const seeked = await video.evaluate(async (video: HTMLVideoElement) => {
    await new Promise((resolve) => {
      video.addEventListener('seeked', resolve, { once: true })
      video.currentTime = 18
    })
    return [video.currentTime >= 18, video.paused, video.duration]
  })
  expect(seeked).toEqual([true, false, 20])
  expect(ranges.some((range) => Number(/^bytes=(\d+)-/.exec(range)?.[1] ?? 0) > 30_000_000)).toBe(true)

  // A dialog above takes the keys.
  await page.evaluate(() => document.body.appendChild(document.createElement('dialog')).showModal())
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('Escape')
  await title(page, 'film.webm')
  await press(page, 'Previous')
  await title(page, 'dawn.jpg')
  expect(await video.evaluate((video: HTMLVideoElement) => video.paused)).toBe(true)

  // A picture that this browser cannot show can be saved.
  await press(page, 'Next')
  await press(page, 'Next')
  await title(page, 'phone.heic')
  await viewer(page).getByText('This browser cannot show this file.').waitFor()
  await stage.shot('viewer-cannot-show')
  const link = viewer(page).locator('.pswp__item:not([inert])').getByRole('link', { name: 'Download' })
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()])
  expect(download.suggestedFilename()).toBe('phone.heic')
})

it('goes through what a search found in the order of the gallery', async () => {
  const { stage, headers, page } = await filled({ viewport: DESKTOP })
  // In UTF-16 the emoji would come first: its first unit is less than the bracket.
  const found = ['写真か.jpg', '写真（1）.jpg', '写真😀.jpg']
  for (const name of found) await put(stage, headers, name, landscape([1, 2, 3]), 'image/jpeg', '2026-07-12T12:00:00Z')
  await page.getByRole('searchbox', { name: 'Search by name' }).fill('写真')
  await page.getByTitle('写真😀.jpg', { exact: true }).waitFor()
  await open(page, '写真か.jpg')
  for (const name of found.slice(1)) {
    await press(page, 'Next')
    await title(page, name)
  }
  await viewer(page).getByRole('button', { name: 'Next' }).waitFor({ state: 'hidden' })
})
