import { expect, it } from 'vitest'
import { DESKTOP, inStep, openStage, signIn } from './stage.ts'

it('restores deleted files, under another name where it is taken, and deletes them for good', async () => {
  const stage = await openStage()
  // The gallery may look for the thumbnail of a file that is deleted by then.
  stage.allowErrors(/status of (401|404|409)/)
  inStep(stage)
  const { app, page } = stage
  const { authorization } = await signIn(stage)
  const file = (name: string, method: string, body?: string) =>
    app.request(`/v1/files/${name}`, { method, headers: { authorization }, ...(body !== undefined && { body }) })
  for (const name of ['beach.jpg', 'forest.mp4', 'notes.txt']) {
    await file(name, 'PUT', `bytes of ${name}`)
    await file(name, 'DELETE')
  }
  await file('beach.jpg', 'PUT', 'another beach')

  await page.getByRole('link', { name: 'Trash' }).click()
  await page.getByText('18 bytes · 30 days left').first().waitFor()
  await stage.shot('trash-phone')
  await page.getByRole('button', { name: 'Restore forest.mp4' }).click()
  await page.getByText('forest.mp4 is restored.').waitFor()
  await page.getByRole('button', { name: 'Restore forest.mp4' }).waitFor({ state: 'detached' })

  await page.getByRole('button', { name: 'Restore beach.jpg' }).click()
  const taken = page.getByRole('dialog', { name: 'The name is taken' })
  await taken.waitFor()
  await stage.shot('trash-taken-phone')
  await taken.getByRole('button', { name: 'Restore as beach (1).jpg' }).click()
  await page.getByText('beach (1).jpg is restored.').waitFor()

  await page.getByRole('button', { name: 'Delete notes.txt for good' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete for good' }).click()
  await page.getByText('notes.txt is deleted for good.').waitFor()
  await page.getByText('The trash is empty.').waitFor()
  await stage.shot('trash-empty-phone')

  const live = await app.request('/v1/files?sort=name&order=asc', { headers: { authorization } })
  const names = (live.body as { files: { name: string }[] }).files.map(({ name }) => name)
  expect(names).toEqual(['beach (1).jpg', 'beach.jpg', 'forest.mp4'])
})

it('shows a long trash in pieces, and empties it', async () => {
  const stage = await openStage({ viewport: DESKTOP, dark: true })
  stage.allowErrors(/status of 401/)
  inStep(stage)
  const { app, page } = stage
  const { authorization } = await signIn(stage)
  const store = async (index: number) => {
    const path = `/v1/files/note-${String(index).padStart(4, '0')}.txt`
    await app.request(path, { method: 'PUT', headers: { authorization }, body: `note ${index}` })
    await app.request(path, { method: 'DELETE', headers: { authorization } })
  }
  for (let first = 0; first < 80; first += 20)
    await Promise.all(Array.from({ length: 20 }, (_, at) => store(first + at)))

  await page.getByRole('link', { name: 'Trash' }).click()
  const rows = page.getByRole('button', { name: /^Restore / })
  await rows.first().waitFor()
  expect(await rows.count()).toBe(60)
  await stage.shot('trash-desktop-dark')
  for (const count of [80]) {
    await rows.last().scrollIntoViewIfNeeded()
    await rows.nth(count - 1).waitFor()
  }
  await page.getByRole('button', { name: 'Empty the trash' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Empty the trash' }).click()
  await page.getByText('The trash is empty.').waitFor()
  const me = await app.request('/v1/me', { headers: { authorization } })
  expect(me.body).toMatchObject({ usage: { trashFiles: 0, bytes: 0 } })
})
