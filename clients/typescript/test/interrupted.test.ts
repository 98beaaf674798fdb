/** Connections that break, servers that restart, and clients that begin again. */
import { randomBytes } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appForMany, memberWith, type TestApp, temporaryFolder, testApp } from '../../../test/support/app.ts'
import { faultyProxy, type WayOfBreaking } from '../../../test/support/faulty-proxy.ts'
import { createClient, fileSource, folderStore, memoryStore, type UploadProgress } from '../src/node.ts'
import { codeOf, MiB, SOON, signedIn } from './support.ts'

const shared = appForMany()
const film = randomBytes(6 * MiB)

/** A server behind a proxy that fails on request, and a client of it. */
async function scene(own?: TestApp) {
  const app = own ?? (await shared())
  const proxy = await faultyProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) })
  const url = `http://127.0.0.1:${proxy.port}`
  const unfinished = memoryStore()
  const { client, token } = await signedIn({ url }, { unfinished })
  /** Another client, as after a new start of the program. */
  const again = (options = {}) => createClient({ baseUrl: url, token, unfinished, retry: SOON, ...options })
  const rival = memberWith(app, {
    token: String(await token.get()),
    userId: '',
    sessionId: '',
    deviceId: '',
    email: '',
  })
  return { app, proxy, client, token, rival, again }
}

const bytesOf = async (client: Awaited<ReturnType<typeof scene>>['client'], name: string) =>
  Buffer.from(await (await client.download(name)).bytes())

/** Calls once when so many bytes are stored. */
function at(bytes: number, act: () => void) {
  let isDone = false
  return ({ stored }: UploadProgress) => {
    if (isDone || stored < bytes) return
    isDone = true
    act()
  }
}

describe('an upload', () => {
  it.each<WayOfBreaking>(['reset', 'end'])('goes on after its connection broke (%s)', async (way) => {
    const { client, proxy } = await scene()
    const sent: number[] = []
    const cut = proxy.cutAfter(2.5 * MiB, 'up', way)
    const { file } = await client.upload(film, {
      name: 'film.mp4',
      onProgress: ({ stored }) => sent.push(stored),
    })
    expect([cut.happened(), file.size, sent]).toEqual([true, film.length, [...sent].sort((a, b) => a - b)])
    expect((await bytesOf(client, 'film.mp4')).equals(film)).toBe(true)
    expect(await client.uploads.list()).toEqual([])
  })

  it.each([
    ['its creation', 'POST /v1/uploads'],
    ['its last piece', 'upload-complete: ?1'],
    ['a small file', 'PUT /v1/files/'],
  ])('is stored once if the response to %s is lost', async (_what, text) => {
    const { client, proxy } = await scene()
    const lost = proxy.loseAnswerTo(text)
    const bytes = text.startsWith('PUT') ? film.subarray(0, 1000) : film
    const { file } = await client.upload(bytes, { name: 'film.mp4' })
    await lost
    expect(file.name).toBe('film.mp4')
    expect((await client.account.get()).usage).toMatchObject({ files: 1, trashFiles: 0 })
    expect((await bytesOf(client, 'film.mp4')).equals(bytes)).toBe(true)
  })

  it('goes on after the server restarted', async () => {
    const folder = await temporaryFolder()
    const { client, app, proxy } = await scene(await testApp({}, folder))
    let restarted: Promise<unknown> = Promise.resolve()
    const restart = async () => {
      await proxy.refuse()
      await app.close()
      const next = await testApp({}, folder)
      proxy.leadTo(Number(new URL(next.url).port))
      await proxy.heal()
    }
    const onProgress = at(MiB, () => {
      restarted = restart()
    })
    await client.upload(film, { name: 'film.mp4', onProgress })
    await restarted
    expect((await bytesOf(client, 'film.mp4')).equals(film)).toBe(true)
  })

  it('goes on in another client with the same store', async () => {
    const { client, again } = await scene()
    await halfOf(client)
    expect(await firstStored(again())).toBeGreaterThanOrEqual(MiB)
  })

  it('goes on with a store of files, and leaves none there', async () => {
    const folder = await temporaryFolder()
    const { again } = await scene()
    await halfOf(again({ unfinished: folderStore(folder) }))
    expect(await readdir(folder)).toHaveLength(1)
    expect(await firstStored(again({ unfinished: folderStore(folder) }))).toBeGreaterThanOrEqual(MiB)
    expect(await readdir(folder)).toEqual([])
  })

  it('goes on if its store cannot write', async () => {
    const file = join(await temporaryFolder(), 'file')
    await writeFile(file, '')
    const { again } = await scene()
    const { outcome } = await again({ unfinished: folderStore(file) }).upload(film, { name: 'film.mp4' })
    expect(outcome).toBe('stored')
  })

  it.each(['get', 'set', 'delete'] as const)('is stored if its store fails (%s)', async (method) => {
    const full = async () => {
      throw new DOMException('The quota has been exceeded.', 'QuotaExceededError')
    }
    const { again } = await scene()
    const client = again({ unfinished: { ...memoryStore(), [method]: full } })
    expect((await client.upload(film, { name: 'film.mp4' })).outcome).toBe('stored')
    expect((await bytesOf(client, 'film.mp4')).equals(film)).toBe(true)
  })

  it('begins again if the server has it no more', async () => {
    const { client, again } = await scene()
    await halfOf(client)
    for (const { id } of await client.uploads.list()) await client.uploads.cancel(id)
    expect(await firstStored(again())).toBe(0)
  })

  it.each([
    ['file-changed', (path: string) => truncateSync(path, 3 * MiB)],
    ['digest-mismatch', (path: string) => writeFileSync(path, randomBytes(film.length))],
  ])('of a file that changes meanwhile leaves nothing behind (%s)', async (code, change) => {
    const path = join(await temporaryFolder(), 'film.mp4')
    const folder = await temporaryFolder()
    await writeFile(path, film)
    const { again } = await scene()
    const client = again({ unfinished: folderStore(folder) })
    const onProgress = at(MiB, () => change(path))
    expect(await codeOf(client.upload(await fileSource(path), { onProgress }))).toBe(code)
    expect([await client.uploads.list(), (await client.account.get()).usage.bytes]).toEqual([[], 0])
    expect(await readdir(folder)).toEqual([])
  })

  it('that was refused at its end needs no byte once the cause is gone', async () => {
    const { client, rival } = await scene()
    let stored: Promise<unknown> = Promise.resolve()
    const onProgress = at(MiB, () => {
      stored = rival.put('film.mp4', 'another')
    })
    expect(await codeOf(client.upload(film, { name: 'film.mp4', onProgress }))).toBe('file-exists')
    await stored
    await client.remove('film.mp4')
    expect(await firstStored(client)).toBe(film.length)
  })

  it.each<['rename' | 'replace', string]>([
    ['rename', 'film (1).mp4'],
    ['replace', 'film.mp4'],
  ])('that was refused at its end can resolve the conflict (%s)', async (onConflict, name) => {
    const { client, rival } = await scene()
    let stored: Promise<unknown> = Promise.resolve()
    const onProgress = at(MiB, () => {
      stored = rival.put('film.mp4', 'another')
    })
    expect(await codeOf(client.upload(film, { name: 'film.mp4', onProgress }))).toBe('file-exists')
    await stored
    expect((await client.upload(film, { name: 'film.mp4', onConflict })).file.name).toBe(name)
    expect((await bytesOf(client, name)).equals(film)).toBe(true)
    expect(await client.uploads.list()).toEqual([])
  })

  it('whose last response was lost is sent again if the file was deleted since', async () => {
    const { client, proxy, again } = await scene()
    const impatient = again({ retry: { attempts: 0 } })
    const lost = proxy.loseAnswerTo('upload-complete: ?1')
    expect(await codeOf(impatient.upload(film, { name: 'film.mp4' }))).toBe('network-error')
    await lost
    await client.remove('film.mp4')
    const { outcome, file } = await again().upload(film, { name: 'film.mp4' })
    expect([outcome, (await client.find('film.mp4'))?.id]).toEqual(['stored', file.id])
  })

  it('has the date and the type of the call that completes it', async () => {
    const { client, again } = await scene()
    await halfOf(client)
    const dated = { name: 'film.mp4', takenAt: '2026-07-14T12:00:00.000+02:00', contentType: 'video/x-mine' }
    await again().upload(film, dated)
    expect(await client.find('film.mp4')).toMatchObject({ takenAt: dated.takenAt, contentType: dated.contentType })
    expect(await client.uploads.list()).toEqual([])
  })

  it('of bytes that its name has already sets the date', async () => {
    const { client } = await scene()
    const photo = film.subarray(0, 1000)
    await client.upload(photo, { name: 'photo' })
    const takenAt = '2026-07-14T12:00:00.000+02:00'
    await client.upload(photo, { name: 'photo', ifStored: 'send', takenAt })
    expect(await client.find('photo')).toMatchObject({ takenAt })
  })

  it('gives up if nothing helps', async () => {
    const { proxy, again } = await scene()
    await proxy.refuse()
    const client = again({ retry: { attempts: 2, baseMs: 1 } })
    expect(await codeOf(client.upload(film, { name: 'film.mp4' }))).toBe('network-error')
  })

  async function halfOf(client: Awaited<ReturnType<typeof scene>>['client']) {
    const controller = new AbortController()
    const onProgress = at(MiB, () => controller.abort(new Error('the program ends')))
    await expect(client.upload(film, { name: 'film.mp4', signal: controller.signal, onProgress })).rejects.toThrow()
  }

  /** Uploads the film. Returns how much of it the server had already. */
  async function firstStored(client: Awaited<ReturnType<typeof scene>>['client']) {
    const sent: number[] = []
    const isHashed = ({ hashed, size }: UploadProgress) => hashed === size
    await client.upload(film, {
      name: 'film.mp4',
      ifStored: 'send',
      // The last call of hashing has `stored: 0`, too.
      onProgress: (progress) => isHashed(progress) && sent.push(progress.stored),
    })
    expect((await bytesOf(client, 'film.mp4')).equals(film)).toBe(true)
    return sent[1]
  }
})

describe('a download', () => {
  it.each<WayOfBreaking>(['reset', 'end'])('goes on after its connection broke (%s)', async (way) => {
    const { client, proxy } = await stored()
    const cut = proxy.cutAfter(2.5 * MiB, 'down', way)
    expect((await bytesOf(client, 'film.mp4')).equals(film)).toBe(true)
    expect(cut.happened()).toBe(true)
  })

  it('does not go on with another version', async () => {
    const { client, proxy, rival } = await stored()
    const download = await client.download('film.mp4')
    const read = async () => {
      for await (const _chunk of download) {
        await rival.put('film.mp4', 'another')
        proxy.cut()
      }
    }
    expect(await codeOf(read())).toBe('precondition-failed')
  })

  it.each<[string, string | null]>([
    ['the whole file', null],
    ['another part', 'bytes=1-'],
  ])('of a part fails if a proxy sends %s instead, at once or after a break', async (_what, range) => {
    const { again, proxy } = await stored()
    let isHonest = false
    const ofProxy: typeof fetch = (input, init) => {
      const headers = new Headers(init?.headers)
      if (!isHonest) headers.delete('range')
      if (!isHonest && range !== null) headers.set('range', range)
      return fetch(input, { ...init, headers })
    }
    const client = again({ fetch: ofProxy })
    const part = { range: { from: 1000, to: 5 * MiB } }
    expect(await codeOf(client.download('film.mp4', part))).toBe('unexpected-response')

    isHonest = true
    const cut = proxy.cutAfter(2.5 * MiB, 'down', 'reset')
    const download = await client.download('film.mp4', part)
    isHonest = false
    expect(await codeOf(download.bytes())).toBe('unexpected-response')
    expect(cut.happened()).toBe(true)
  })

  it('does not wait for ever', async () => {
    const { again, proxy } = await stored()
    const client = again({ timeoutMs: 300, retry: { attempts: 0 } })
    const download = await client.download('film.mp4')
    proxy.hang()
    expect(await codeOf(download.bytes())).toBe('timeout')
    expect(await codeOf(client.account.get())).toBe('timeout')
  })

  async function stored() {
    const given = await scene()
    await given.client.upload(film, { name: 'film.mp4' })
    return given
  }
})

describe('a request', () => {
  it('is sent again where that is safe, and only there', async () => {
    const { client, proxy } = await scene()
    await client.upload(randomBytes(10), { name: 'a' })
    const lose = async (text: string, act: () => Promise<unknown>) => {
      const lost = proxy.loseAnswerTo(text)
      const code = await codeOf(act())
      await lost
      return code
    }
    expect(await lose('GET /v1/me', () => client.account.get())).toBe('none')
    expect(await lose('DELETE /v1/files/a', () => client.remove('a'))).toBe('none')
    expect(await lose('POST /v1/pins', () => client.pair())).toBe('network-error')
  })

  it('waits as long as the server asks for', async () => {
    const { app, client, token } = await scene()
    const slow: string[] = []
    const busy: typeof fetch = async (...request) => {
      if (slow.push('asked') > 1) return fetch(...request)
      const problem = { code: 'too-many-requests', detail: 'Later.', status: 429 }
      return new Response(JSON.stringify(problem), { status: 429, headers: { 'retry-after': '1' } })
    }
    const patient = createClient({ baseUrl: app.url, token, retry: SOON, fetch: busy })
    const startedAt = performance.now()
    await patient.account.get()
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990)
    const impatient = createClient({ baseUrl: app.url, token, retry: { maxMs: 500 }, fetch: busy })
    slow.length = 0
    expect(await codeOf(impatient.account.get())).toBe('too-many-requests')
    await client.account.get()
  })
})
