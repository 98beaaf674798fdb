/** Thumbnails that the page makes for files that came without one. */
import { randomBytes } from 'node:crypto'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { BLUE, type Color, GREEN, gif, jpegOf, pngOf, RED, storedFor, withExif } from '../support/pictures.ts'
import { filmIn } from '../support/webm.ts'
import { openStage, type Stage, signIn } from './stage.ts'

interface Thumbnail {
  type: string
  bytes: number
  width: number
  height: number
  /** At a quarter and at three quarters of the height: red, green, blue, opacity. */
  colors: number[][]
}

/** Uploads without a thumbnail, as curl does. */
async function put({ app }: Stage, headers: object, name: string, body: Buffer, contentType: string): Promise<void> {
  const answer = await app.request(`/v1/files/${encodeURIComponent(name)}`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': contentType },
    body,
  })
  expect(answer.status).toBe(201)
}

async function thumbnailOf(page: Page, name: string): Promise<Thumbnail> {
  return page.evaluate(async (name) => {
    const response = await fetch(`/v1/files/${encodeURIComponent(name)}/thumbnail`)
    const blob = await response.blob()
    const bitmap = await createImageBitmap(blob)
    const { width, height } = bitmap
    const context = new OffscreenCanvas(width, height).getContext('2d')
    context?.drawImage(bitmap, 0, 0)
    const at = (share: number) => [...(context?.getImageData(width / 2, Math.floor(height * share), 1, 1).data ?? [])]
    return { type: blob.type, bytes: blob.size, width, height, colors: [at(0.25), at(0.75)] }
  }, name)
}

/** Waits until the page has shown the new thumbnails. */
const shown = (page: Page, names: string[]) =>
  Promise.all(names.map((name) => page.getByRole('img', { name, exact: true }).waitFor()))

const isAbout = ([red = 0, green = 0, blue = 0]: number[], color: Color) =>
  Math.abs(red - color[0]) + Math.abs(green - color[1]) + Math.abs(blue - color[2]) < 60

/** Red above blue, on a portrait. */
const portrait = (width: number, height: number) => ({
  ...{ width, height },
  color: (_: number, y: number): Color => (y < height / 2 ? RED : BLUE),
})

it('gives pictures a small thumbnail, the right way up', async () => {
  const stage = await openStage()
  stage.allowErrors(/401/)
  const headers = await signIn(stage)
  const orientations = [1, 2, 3, 4, 5, 6, 7, 8]
  for (const orientation of orientations) {
    const photo = withExif(jpegOf(storedFor(orientation, portrait(60, 560))), { orientation })
    await put(stage, headers, `way ${orientation}.jpg`, photo, 'image/jpeg')
  }
  const noise = randomBytes(600 * 500 * 3)
  const color = (x: number, y: number): Color => {
    const at = (y * 600 + x) * 3
    return [noise[at] ?? 0, noise[at + 1] ?? 0, noise[at + 2] ?? 0]
  }
  await put(stage, headers, 'noise.jpg', jpegOf({ width: 600, height: 500, color }), 'image/jpeg')
  const half = { width: 560, height: 100, color: (_: number, y: number): Color => [30, 160, 30, y < 50 ? 0 : 255] }
  await put(stage, headers, 'half.png', pngOf(half), 'image/png')
  await put(stage, headers, 'tiny.gif', gif(), 'image/gif')
  await put(stage, headers, 'broken.jpg', randomBytes(5000), 'image/jpeg')
  await put(stage, headers, 'phone.heic', randomBytes(5000), 'image/heic')
  await put(stage, headers, 'drawing.svg', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'image/svg+xml')
  await stage.page.reload()

  const ways = orientations.map((orientation) => `way ${orientation}.jpg`)
  await shown(stage.page, [...ways, 'noise.jpg', 'half.png', 'tiny.gif'])
  for (const name of ways) {
    const { width, height, colors, bytes } = await thumbnailOf(stage.page, name)
    expect([name, width, height, bytes < 40_000]).toEqual([name, 55, 512, true])
    expect([name, isAbout(colors[0] ?? [], RED), isAbout(colors[1] ?? [], BLUE)]).toEqual([name, true, true])
  }
  const loud = await thumbnailOf(stage.page, 'noise.jpg')
  expect(loud.bytes).toBeLessThanOrEqual(45_000)
  const clear = await thumbnailOf(stage.page, 'half.png')
  expect([clear.type, clear.width, clear.colors.map(([, , , opacity]) => opacity)]).toEqual([
    'image/webp',
    512,
    [0, 255],
  ])
  expect(isAbout(clear.colors[1] ?? [], GREEN)).toBe(true)
  const small = await thumbnailOf(stage.page, 'tiny.gif')
  expect([small.width, small.height, isAbout(small.colors[0] ?? [], RED)]).toEqual([8, 8, true])

  const { files } = (await stage.app.request('/v1/files', { headers })).body as {
    files: { name: string; thumbnail: string | null }[]
  }
  const without = files.filter(({ thumbnail }) => thumbnail === null).map(({ name }) => name)
  expect(without.toSorted()).toEqual(['broken.jpg', 'drawing.svg', 'phone.heic'])
})

it('takes the thumbnail of a film from a moment after its start', async () => {
  const stage = await openStage()
  stage.allowErrors(/401/)
  const headers = await signIn(stage)
  const colors = ['#000', ...Array.from({ length: 15 }, () => 'rgb(30, 160, 30)')]
  const film = await filmIn(stage.page, { colors, width: 320, height: 180, stepMs: 100 })
  await put(stage, headers, 'film.webm', film, 'video/webm')
  await put(stage, headers, 'broken.webm', film.subarray(0, 60), 'video/webm')
  await stage.page.reload()
  await shown(stage.page, ['film.webm'])
  const { width, height, colors: seen } = await thumbnailOf(stage.page, 'film.webm')
  expect([width, height, isAbout(seen[0] ?? [], GREEN)]).toEqual([320, 180, true])
})
