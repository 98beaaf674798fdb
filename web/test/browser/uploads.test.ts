import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { picture } from '../../../clients/typescript/demo/pictures.ts'
import { DESKTOP, openStage, type Stage, signIn } from './stage.ts'

interface Given {
  name: string
  mimeType: string
  buffer: Buffer
}

const text = (name: string, content: string): Given => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) })

const photo = (number: number): Given => {
  const { jpeg } = picture(number, '2026-07-14T12:00:00+02:00')
  return { name: `IMG_${number}.jpg`, mimeType: 'image/jpeg', buffer: jpeg }
}

/** Chooses files as a person does. */
async function choose(page: Page, files: Given[], item = 'Choose files'): Promise<void> {
  await page.getByRole('button', { name: 'Add files' }).click()
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('menuitem', { name: item }).click()
  await (await chooser).setFiles(files)
}

async function stored(app: Stage['app'], headers: Record<string, string>, path = '/v1/files?limit=1000') {
  const { body } = await app.request(path, { headers })
  return (body as { files: { name: string; sha256: string; takenAt: string | null; size: number }[] }).files
}

const uploads = (page: Page) => page.getByRole('region', { name: 'Uploads' })
const headline = (page: Page, text: string) => uploads(page).getByRole('heading', { name: text }).waitFor()

async function signedIn(options: Parameters<typeof openStage>[0] = {}) {
  const stage = await openStage(options)
  stage.allowErrors(/401/)
  const headers = await signIn(stage)
  await stage.page.getByRole('heading', { name: 'Photos' }).waitFor()
  return { ...stage, headers }
}

it('uploads chosen files, and knows those that are there already', async () => {
  const { app, page, headers, shot } = await signedIn()

  await page.getByRole('button', { name: 'Add files' }).click()
  await page.getByRole('menuitem', { name: 'Take a photo or video' }).waitFor()
  await shot('uploads-menu')
  await page.keyboard.press('Escape')
  await choose(page, [photo(1), photo(2), text('notes.txt', 'hello')])
  await headline(page, 'Everything is in the vault')
  expect((await stored(app, headers)).map(({ name }) => name)).toEqual(['IMG_1.jpg', 'IMG_2.jpg', 'notes.txt'])

  await choose(page, [photo(1), photo(3)])
  await uploads(page).getByText('4 uploaded · 1 already there').waitFor()
  await page.getByRole('button', { name: 'Show the list of uploads' }).click()
  await shot('uploads-done')
})
