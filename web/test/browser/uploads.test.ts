import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { picture } from '../../../clients/typescript/demo/pictures.ts'
import { temporaryFolder } from '../../../test/support/app.ts'
import { DESKTOP, openStage, type Stage, signIn } from './stage.ts'

/** Much longer than it takes on a quiet machine. */
const SOON = { timeout: 30_000 }
const LONG_MS = 120_000

/** What Chromium says of requests without a network; the last is its own look for a newer worker. */
const OFFLINE =
  /ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|ERR_FAILED|unknown error occurred when fetching the script/

type Given = string | { name: string; mimeType: string; buffer: Buffer }

const text = (name: string, content: string): Given => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) })

/** A few landscapes are drawn. Bytes behind the picture make each photo another one. */
const drawn = [0, 1, 2, 3].map((number) => picture(number, '2026-07-14T12:00:00+02:00').jpeg)

const photo = (number: number): Given => {
  const jpeg = drawn[number % drawn.length] as Buffer
  const buffer = Buffer.concat([jpeg, Buffer.from(`photo ${number}`)])
  return { name: `IMG_${number}.jpg`, mimeType: 'image/jpeg', buffer }
}

/** Chooses files as a person does. */
async function choose(page: Page, files: Given[] | string, item = 'Choose files'): Promise<void> {
  await page.getByRole('button', { name: 'Add files' }).click()
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('menuitem', { name: item }).click()
  await (await chooser).setFiles(files as string[])
}

interface Stored {
  name: string
  size: number
}

/** Everything that is stored, in the order of names. */
async function stored({ app, headers }: { app: Stage['app']; headers: { authorization: string } }, path = '/v1/files') {
  return ((await app.request(`${path}?limit=1000`, { headers })).body as { files: Stored[] }).files
}

const namesOf = (files: Stored[]) => files.map(({ name }) => name)
const uploads = (page: Page) => page.getByRole('region', { name: 'Uploads' })
const headline = (page: Page, name: string, timeout = SOON.timeout) =>
  uploads(page).getByRole('heading', { name }).waitFor({ timeout })
const allStored = (page: Page, timeout?: number) => headline(page, 'Everything is in the vault', timeout)
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

/** The entries that the page would have after a reload. */
const keptIn = (page: Page, store: 'files' | 'choices') =>
  page.evaluate(
    (store) =>
      new Promise<{ isPaused?: boolean }[]>((resolve) => {
        const opening = indexedDB.open('minikeepsafe-queue')
        opening.onsuccess = () => {
          const all = opening.result.transaction(store).objectStore(store).getAll()
          all.onsuccess = () => {
            opening.result.close()
            resolve(all.result.map(({ isPaused }) => ({ isPaused })))
          }
        }
      }),
    store,
  )
const kept = async (page: Page) => (await keptIn(page, 'files')).length
const isPauseKept = async (page: Page) => (await keptIn(page, 'choices')).some(({ isPaused }) => isPaused)

async function member(options: Parameters<typeof openStage>[0] = {}) {
  const stage = await openStage(options)
  stage.allowErrors(/401/)
  const headers = await signIn(stage)
  await stage.page.getByRole('heading', { name: 'Photos' }).waitFor()
  return { ...stage, headers }
}

it('uploads chosen files, and knows those that are there already', async () => {
  const vault = await member()
  const { page, shot } = vault

  await press(page, 'Add files')
  await page.getByRole('menuitem', { name: 'Take a photo or video' }).waitFor()
  await shot('uploads-menu')
  await page.keyboard.press('Escape')
  await choose(page, [photo(1), photo(2), text('notes.txt', 'hello')])
  await allStored(page)
  const files = await stored(vault)
  expect(namesOf(files)).toEqual(['IMG_1.jpg', 'IMG_2.jpg', 'notes.txt'])
  // With the camera's date, and with a thumbnail.
  expect(files[0]).toMatchObject({ takenAt: '2026-07-14T12:00:00.000+02:00', thumbnail: expect.any(String) })
  expect(files[2]).toMatchObject({ takenAt: null, thumbnail: null })
  expect(await kept(page)).toBe(0)

  await choose(page, [photo(1), photo(3)])
  await uploads(page).getByText('1 uploaded · 1 already there').waitFor()
  await press(page, 'Show the list of uploads')
  await shot('uploads-done')
  await press(page, 'Close')
  expect(await uploads(page).count()).toBe(0)
})

it(
  'uploads 200 photos once each, though the network breaks and the page is loaded again',
  async () => {
    const vault = await member()
    const { app, page, context, headers, allowErrors, shot } = vault
    allowErrors(OFFLINE)
    const files = Array.from({ length: 200 }, (_, i) => photo(i))
    const storedAtLeast = async (count: number) => {
      const files = async () =>
        ((await app.request('/v1/me', { headers })).body as { usage: { files: number } }).usage.files
      await expect.poll(files, { timeout: LONG_MS, interval: 200 }).toBeGreaterThan(count)
    }

    await choose(page, files)
    await storedAtLeast(40)
    await context.setOffline(true)
    await headline(page, 'Waiting for the connection')
    await page.getByText('You are offline.').waitFor()
    await shot('uploads-offline')

    await context.setOffline(false)
    await storedAtLeast(100)
    await press(page, 'Show the list of uploads')
    expect(await uploads(page).getByRole('listitem').count()).toBeLessThan(50)
    // Usage is shown while uploads go on, too.
    await page.getByText(/^[1-9]\d* files · /).waitFor()
    await shot('uploads-running')
    const warning = page.waitForEvent('dialog')
    await Promise.all([page.reload(), warning.then((dialog) => dialog.accept())])
    expect((await warning).type()).toBe('beforeunload')

    await allStored(page, LONG_MS)
    const names = namesOf(await stored(vault))
    expect(names.length).toBe(200)
    expect(new Set(names).size).toBe(200)
    expect(await stored(vault, '/v1/trash')).toEqual([])
    expect((await app.request('/v1/uploads', { headers })).body).toEqual({ uploads: [] })
    expect(await kept(page)).toBe(0)
  },
  3 * LONG_MS,
)

it('asks once what to do about names that are taken', async () => {
  const vault = await member()
  const { page, allowErrors, shot } = vault
  allowErrors(/409|412/)
  const choice = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true })
  const version = (content: string) =>
    ['a.txt', 'b.txt', 'c.txt', 'd.txt'].map((name) => text(name, `${name} ${content}`))
  await choose(page, version('old'))
  await allStored(page)

  let goOn = () => {}
  const isPutOff = new Promise<void>((resolve) => {
    goOn = resolve
  })
  await page.route('**/v1/files/d.txt*', (route) => isPutOff.then(() => route.continue()))
  await choose(page, [...version('new'), text('e.txt', 'no conflict')])
  await page.getByRole('dialog').getByText('b.txt').waitFor()
  await shot('uploads-conflict')
  // Later is possible, too, and the next conflict does not ask again.
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  goOn()
  await headline(page, 'Names that are taken: 4')
  expect(await page.getByRole('dialog').count()).toBe(0)
  await press(page, 'Decide')
  await choice('Keep both').click()
  await allStored(page)
  const both = ['a (1).txt', 'a.txt', 'b (1).txt', 'b.txt', 'c (1).txt', 'c.txt', 'd (1).txt', 'd.txt', 'e.txt']
  expect(namesOf(await stored(vault))).toEqual(both)

  await choose(page, version('newest'))
  await choice('Skip').click()
  await uploads(page).getByText('4 skipped').waitFor()
  expect(await stored(vault, '/v1/trash')).toEqual([])

  await choose(page, version('replacing'))
  await choice('Replace').click()
  await uploads(page).getByText('4 uploaded').waitFor()
  expect(namesOf(await stored(vault))).toEqual(both)
  expect((await stored(vault, '/v1/trash')).length).toBe(4)
})

it('pauses, goes on where it was, and cancels', async () => {
  const vault = await member({ dark: true })
  const { app, page, headers, shot } = vault
  // The second piece of an upload does not get through.
  let pieces = 0
  const offsets: string[] = []
  await page.route('**/v1/uploads/*', async (route) => {
    const request = route.request()
    if (request.method() !== 'PATCH') return route.continue()
    offsets.push(request.headers()['upload-offset'] ?? '')
    pieces += 1
    if (pieces !== 2) await route.continue()
  })
  const open = async () =>
    ((await app.request('/v1/uploads', { headers })).body as { uploads: { offset: number }[] }).uploads
  const film = { name: 'film.bin', mimeType: 'application/octet-stream', buffer: randomBytes(5 * 2 ** 20) }

  await choose(page, [film])
  await expect.poll(() => pieces, SOON).toBe(2)
  await press(page, 'Pause uploads')
  await headline(page, 'Paused: 0 of 1')
  await shot('uploads-paused')
  await choose(page, [text('later.txt', 'waits'), text('never.txt', 'waits')])
  await press(page, 'Show the list of uploads')
  await press(page, 'Cancel never.txt')
  expect((await open()).map(({ offset }) => offset)).toEqual([2 ** 20])

  // The page remembers that it is paused.
  page.once('dialog', (dialog) => void dialog.accept())
  await page.reload()
  await headline(page, 'Paused: 0 of 2')
  expect(namesOf(await stored(vault))).toEqual([])
  await press(page, 'Resume uploads')
  await allStored(page)
  expect(await stored(vault)).toMatchObject([{ name: 'film.bin', size: 5 * 2 ** 20 }, { name: 'later.txt' }])
  expect(offsets.slice(0, 3)).toEqual(['0', String(2 ** 20), String(2 ** 20)])

  pieces = 0
  await choose(page, [{ ...film, name: 'other.bin', buffer: randomBytes(5 * 2 ** 20) }])
  await expect.poll(() => pieces, SOON).toBe(2)
  await press(page, 'Show the list of uploads')
  await press(page, 'Cancel other.bin')
  await expect.poll(open, SOON).toEqual([])
})

it('stops when the vault is full, and tries again', async () => {
  const vault = await member({ QUOTA_BYTES: '20000' })
  const { app, page, headers, allowErrors, shot } = vault
  allowErrors(/507/)
  await choose(page, [text('first.txt', 'a'.repeat(15_000))])
  await allStored(page)

  await choose(page, [text('second.txt', 'b'.repeat(12_000)), text('third.txt', 'c'.repeat(12_000))])
  await uploads(page).getByText('Your vault is full.').waitFor()
  await press(page, 'Show the list of uploads')
  await shot('uploads-full')
  await app.request('/v1/files/first.txt', { method: 'DELETE', headers })
  await app.request('/v1/trash', { method: 'DELETE', headers })
  // There is room for one of them, and its response comes after the refusal of the other.
  const refusal = once(app.server, 'refused')
  app.server.prependListener('request', (_, response) => {
    const end = response.end.bind(response)
    response.end = (...given: unknown[]) => {
      if (response.statusCode === 507) app.server.emit('refused')
      if (response.statusCode === 201) void refusal.then(() => setTimeout(() => end(...(given as [])), 500))
      else end(...(given as []))
      return response
    }
  })
  await press(page, 'Try all again')
  await expect.poll(async () => (await stored(vault)).length, SOON).toBe(1)
  await uploads(page).getByText('Your vault is full.').waitFor()
  await press(page, 'Close')
  expect(await uploads(page).count()).toBe(0)
})

it('takes files that are dropped or pasted, and folders', async () => {
  const vault = await member({ viewport: DESKTOP })
  const { page, context, shot } = vault
  const folder = join(await temporaryFolder(), 'trip')
  await mkdir(join(folder, 'sea'), { recursive: true })
  await writeFile(join(folder, 'beach.txt'), 'sand')
  await writeFile(join(folder, 'sea', 'wave.txt'), 'water')
  await writeFile(join(folder, '.DS_Store'), 'junk')

  await choose(page, folder, 'Choose a folder')
  await allStored(page)
  expect(namesOf(await stored(vault))).toEqual(['trip - beach.txt', 'trip - sea - wave.txt'])

  await writeFile(join(folder, 'sea', 'shell.txt'), 'pearl')
  const devtools = await context.newCDPSession(page)
  const drag = async (type: 'dragEnter' | 'drop') => {
    const data = { items: [], files: [join(folder, 'sea')], dragOperationsMask: 1 }
    await devtools.send('Input.dispatchDragEvent', { type, x: 600, y: 400, data })
  }
  await drag('dragEnter')
  await page.getByText('Drop files here').waitFor()
  await shot('uploads-drop')
  await drag('drop')
  await expect.poll(async () => namesOf(await stored(vault)), SOON).toContain('sea - shell.txt')

  await page.evaluate(() => {
    const clipboardData = new DataTransfer()
    clipboardData.items.add(new File(['pasted'], 'pasted.txt', { type: 'text/plain' }))
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }))
  })
  await expect.poll(async () => namesOf(await stored(vault)), SOON).toContain('pasted.txt')
})

it('says which files must be chosen again, and which were changed', async () => {
  const vault = await member()
  const { page, context, allowErrors, shot } = vault
  allowErrors(OFFLINE)
  allowErrors(/ERR_UPLOAD_FILE_CHANGED|ERR_FILE_NOT_FOUND|ERR_ACCESS_DENIED/)
  const path = join(await temporaryFolder(), 'diary.txt')
  await writeFile(path, 'monday')
  // A browser that is out of room.
  await context.addInitScript(() => {
    const { put } = IDBObjectStore.prototype
    IDBObjectStore.prototype.put = function (value, key) {
      if (value?.file) throw new DOMException('full', 'QuotaExceededError')
      return put.call(this, value, key)
    }
  })
  await page.reload()
  await page.getByRole('heading', { name: 'Photos' }).waitFor()
  await choose(page, [text('first.txt', 'The queue is loaded with the first file.')])
  await allStored(page)
  await context.setOffline(true)
  await choose(page, [path])
  await headline(page, 'Waiting for the connection')
  await writeFile(path, 'tuesday and wednesday')
  await context.setOffline(false)
  await uploads(page).getByText('Not uploaded: 1').waitFor()
  await press(page, 'Show the list of uploads')
  await uploads(page).getByText('changed or removed').waitFor()
  await shot('uploads-changed')
  await press(page, 'Close')

  await context.setOffline(true)
  await choose(page, [photo(1)])
  await headline(page, 'Waiting for the connection')
  await expect.poll(() => kept(page), SOON).toBe(1)
  await press(page, 'Pause uploads')
  await expect.poll(() => isPauseKept(page), SOON).toBe(true)
  await context.setOffline(false)
  page.once('dialog', (dialog) => void dialog.accept())
  await page.reload()
  await headline(page, 'To be chosen again: 1')
  await shot('uploads-missing')
  const chooser = page.waitForEvent('filechooser')
  await press(page, 'Choose the files again')
  await (await chooser).setFiles([photo(1)] as never)
  await press(page, 'Resume uploads')
  await allStored(page)
  expect(namesOf(await stored(vault))).toEqual(['IMG_1.jpg', 'first.txt'])
})

it('keeps the queue after the browser has closed its database, as Safari does in the background', async () => {
  const { app, page, context } = await member()
  await choose(page, [text('first.txt', 'sand')])
  await allStored(page)
  const devTools = await context.newCDPSession(page)
  await devTools.send('Storage.clearDataForOrigin', { origin: app.url, storageTypes: 'indexeddb' })
  // Nothing gets through.
  await context.route('**/v1/files/lookup', () => undefined)
  await choose(page, [photo(1)])
  const databases = () => page.evaluate(async () => (await indexedDB.databases()).length)
  await expect.poll(databases, SOON).toBe(1)
  await expect.poll(() => kept(page), SOON).toBe(1)
})

it('goes on in another tab of the same user, and in no page of another one', async () => {
  const vault = await member()
  const { app, page, context, headers } = vault
  // Nothing gets through until the test says so.
  let isOpen = false
  await context.route('**/v1/files/lookup', async (route) => (isOpen ? route.continue() : undefined))
  await choose(page, [photo(1), photo(2)])
  await headline(page, 'Uploading: 0 of 2')
  await expect.poll(() => kept(page), SOON).toBe(2)

  const tab = await context.newPage()
  await tab.goto(app.url)
  await tab.getByRole('heading', { name: 'Photos' }).waitFor()
  await tab.waitForFunction(() => navigator.serviceWorker.ready)
  expect(await uploads(tab).count()).toBe(0)
  await page.close()
  isOpen = true
  await allStored(tab)
  expect(namesOf(await stored(vault)).sort()).toEqual(['IMG_1.jpg', 'IMG_2.jpg'])

  // Another device signs this one out. The queue waits for its user, and nobody else gets it.
  const signOut = (authorization: { authorization: string }) =>
    app.request('/v1/sessions', { method: 'DELETE', headers: authorization })
  const signInAgain = tab.getByRole('heading', { name: 'Open your vault' })
  isOpen = false
  await choose(tab, [photo(3)])
  await expect.poll(() => kept(tab), SOON).toBe(1)
  await press(tab, 'Pause uploads')
  await signOut(headers)
  isOpen = true
  await press(tab, 'Resume uploads')
  await signInAgain.waitFor()
  expect(await kept(tab)).toBe(1)
  const other = await signIn({ app, page: tab })
  await expect.poll(() => kept(tab), SOON).toBe(0)
  expect(await uploads(tab).count()).toBe(0)

  // A page that opens without a session keeps nothing.
  isOpen = false
  await choose(tab, [photo(4)])
  await expect.poll(() => kept(tab), SOON).toBe(1)
  await signOut(other)
  tab.once('dialog', (dialog) => void dialog.accept())
  await tab.reload()
  await signInAgain.waitFor()
  await expect.poll(() => kept(tab), SOON).toBe(0)
  expect(await stored({ app, headers: other })).toEqual([])
})
