/** The client against a real server. */
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { appForMany, DAY, newDeviceId, temporaryFolder, testApp } from '../../../test/support/app.ts'
import { type Changes, createClient, fileSource, memoryToken, sha256, VaultError } from '../src/node.ts'
import { all, codeOf, MiB, signedIn, someEmail } from './support.ts'

const app = appForMany()
const start = async () => signedIn(await app())
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('an account', () => {
  it('is registered, signed in and signed out', async () => {
    const token = memoryToken()
    const client = createClient({ baseUrl: (await app()).url, token })
    const registered = await client.register({ name: 'Ada', email: someEmail() })
    if (!('pin' in registered)) throw new Error('the server shows PINs')
    const session = await client.signIn(registered)
    expect(await client.account.get()).toMatchObject({ name: 'Ada', usage: { files: 0 } })
    expect(token.get()).toBe(session.token)

    await client.sessions.signOut()
    expect(token.get()).toBe(null)
    expect(await codeOf(client.account.get())).toBe('unauthorized')
  })

  it('pairs another device with the text of a picture', async () => {
    const { client } = await start()
    const { text } = await client.pair()
    const other = createClient({ baseUrl: `${(await app()).url}/` })
    const { deviceId } = await other.signInWithPairing(text)

    expect(text).toContain(`/#pair=${deviceId}.`)
    const sessions = await other.sessions.list()
    expect(sessions.map(({ current }) => current).sort()).toEqual([false, true])
    await other.sessions.endOthers()
    expect(await codeOf(client.account.get())).toBe('unauthorized')
    expect(await codeOf(other.signInWithPairing('https://example.org/#pair=another-one.0000'))).toBe('invalid-pairing')
  })

  it('ends one session', async () => {
    const { client } = await start()
    const other = createClient({ baseUrl: (await app()).url })
    const { sessionId } = await other.signInWithPairing((await client.pair()).text)
    await client.sessions.end(sessionId)
    expect(await codeOf(other.account.get())).toBe('unauthorized')
  })

  it('shows its activity, is exported, and is deleted', async () => {
    const { client, token } = await start()
    await client.upload(Buffer.from('sand'), { name: 'beach.txt' })
    const kinds: string[] = []
    for await (const { kind } of client.account.activity({ pageSize: 1 })) kinds.push(kind)
    expect(kinds).toContain('new-device')

    const { stream, fileName } = await client.account.export()
    const zip = Buffer.concat(await all(stream as unknown as AsyncIterable<Uint8Array>))
    expect([fileName.endsWith('.zip'), zip.includes('beach.txt')]).toEqual([true, true])

    const { file } = await client.upload(Buffer.from('sea'), { name: 'sea.txt' })
    const one = await client.account.export({ ids: [file.id] })
    const part = Buffer.concat(await all(one.stream as unknown as AsyncIterable<Uint8Array>))
    expect([one.fileName.includes('1-file'), part.includes('sea.txt'), part.includes('beach.txt')]).toEqual([
      true,
      true,
      false,
    ])

    await client.account.delete()
    expect(token.get()).toBe(null)
  })

  it('says what is wrong with a request', async () => {
    const client = createClient({ baseUrl: (await app()).url })
    const error = await client.register({ name: '', email: 'none' }).catch((error: VaultError) => error)
    if (!(error instanceof VaultError)) throw new Error('it was accepted')
    expect(error).toMatchObject({ code: 'invalid-request', status: 400 })
    expect(error.errors.map(({ path }) => path).sort()).toEqual(['/email', '/name'])
    expect(error.requestId).toMatch(/./)
    expect(await codeOf(client.requestPin({ deviceId: newDeviceId(), email: someEmail() }))).toBe('unauthorized')
  })
})

describe('an upload', () => {
  it.each([
    ['nothing', 0],
    ['a byte', 1],
    ['what is just one request', 4 * MiB],
    ['what needs several', 4 * MiB + 1],
  ])('of %s is stored as it is', async (_what, size) => {
    const { client } = await start()
    const bytes = randomBytes(size)
    const seen: number[] = []
    const { outcome, file } = await client.upload(new File([bytes], 'été.jpg', { type: 'image/jpeg' }), {
      onProgress: ({ stored }) => seen.push(stored),
    })
    expect(outcome).toBe('stored')
    expect(file).toMatchObject({ name: 'été.jpg', size, sha256: digest(bytes), contentType: 'image/jpeg' })
    expect(Buffer.from(await (await client.download('été.jpg')).bytes()).equals(bytes)).toBe(true)
    expect([seen.at(-1), seen]).toEqual([size, [...seen].sort((a, b) => a - b)])
  })

  it('takes a file of Node by its path', async () => {
    const { client } = await start()
    const path = join(await temporaryFolder(), 'film.mp4')
    const bytes = randomBytes(5 * MiB)
    await writeFile(path, bytes)
    const { file } = await client.upload(await fileSource(path))
    expect(file).toMatchObject({ name: 'film.mp4', contentType: 'video/mp4', sha256: digest(bytes) })
  })

  it.each([1000, 4 * MiB + 1])('of %i bytes does not replace another file, unless it is told so', async (size) => {
    const { client } = await start()
    const [one, other] = [randomBytes(size), randomBytes(size)]
    await client.upload(one, { name: 'beach.jpg' })
    expect(await codeOf(client.upload(other, { name: 'beach.jpg' }))).toBe('file-exists')
    const renamed = await client.upload(other, { name: 'beach.jpg', onConflict: 'rename' })
    expect(renamed.file.name).toBe('beach (1).jpg')
    await client.upload(other, { name: 'beach.jpg', onConflict: 'replace', ifStored: 'send' })
    expect((await client.find('beach.jpg'))?.sha256).toBe(digest(other))
  })

  it('of the same bytes under the same name is no conflict', async () => {
    const { client } = await start()
    const bytes = randomBytes(1000)
    const { file } = await client.upload(bytes, { name: 'beach.jpg' })
    expect((await client.upload(bytes, { name: 'beach.jpg', ifStored: 'send' })).file.id).toBe(file.id)
  })

  it('ends with its signal, before and in the middle', async () => {
    const { client } = await start()
    const controller = new AbortController()
    const uploading = client.upload(randomBytes(8 * MiB), {
      name: 'film.mp4',
      signal: controller.signal,
      onProgress: ({ stored }) => stored > 0 && controller.abort(new Error('enough')),
    })
    await expect(uploading).rejects.toThrow('enough')
    await expect(client.upload(randomBytes(1), { name: 'a', signal: controller.signal })).rejects.toThrow('enough')
    const [begun, ...others] = await client.uploads.list()
    expect([begun?.name, others]).toEqual(['film.mp4', []])
    await client.uploads.cancel(begun?.id ?? '')
    expect(await client.uploads.list()).toEqual([])
  })

  it.each([1000, 4 * MiB + 1])('of %i bytes keeps the date at which it was taken', async (size) => {
    const { client } = await start()
    const takenAt = '2026-07-14T12:00:00.000+02:00'
    const { file } = await client.upload(randomBytes(size), { name: 'beach.jpg', takenAt })
    expect(file).toMatchObject({ takenAt })
    const later = new Date(Date.UTC(2026, 7, 1))
    expect(await client.update('beach.jpg', { takenAt: later })).toMatchObject({ takenAt: later.toISOString() })
  })

  it('a date that is none is refused, and removes no date', async () => {
    const { client } = await start()
    const takenAt = '2026-07-14T12:00:00.000+02:00'
    await client.upload(Buffer.from('sand'), { name: 'beach.jpg', takenAt })
    const none = { takenAt: new Date('0000:00:00 00:00:00') }
    expect(await codeOf(client.update('beach.jpg', none))).toBe('invalid-request')
    expect(await codeOf(client.upload(Buffer.from('sea'), { name: 'sea.jpg', ...none }))).toBe('invalid-request')
    expect(await client.find('beach.jpg')).toMatchObject({ takenAt })
    expect(await client.rename('beach.jpg', 'sand.jpg')).toMatchObject({ takenAt })
    expect(await client.update('sand.jpg', { takenAt: null })).toMatchObject({ takenAt: null })
  })

  it('needs a name', async () => {
    const { client } = await start()
    expect(await codeOf(client.upload(randomBytes(1)))).toBe('invalid-name')
    expect(await codeOf(client.upload(randomBytes(1), { name: '../a' }))).toBe('invalid-name')
  })
})

describe('a download', () => {
  it('is a stream, chunks, bytes or a blob', async () => {
    const { client } = await start()
    const bytes = randomBytes(300_000)
    await client.upload(bytes, { name: 'beach.jpg' })
    const get = () => client.download('beach.jpg')
    const seen: number[] = []
    const watched = await client.download('beach.jpg', { onProgress: ({ received }) => seen.push(received) })
    const chunks: Uint8Array[] = []
    for await (const chunk of watched) chunks.push(chunk)
    const ways = [
      Buffer.concat(chunks),
      Buffer.from(await new Response((await get()).stream).arrayBuffer()),
      Buffer.from(await (await get()).bytes()),
      Buffer.from(await (await (await get()).blob()).arrayBuffer()),
    ]
    expect(ways.map((way) => way.equals(bytes))).toEqual([true, true, true, true])
    expect(seen.at(-1)).toBe(bytes.length)
    expect(await get()).toMatchObject({ size: 300_000, contentType: 'image/jpeg', sha256: digest(bytes) })
  })

  it('may be a part', async () => {
    const { client } = await start()
    await client.upload(Buffer.from('0123456789'), { name: 'digits' })
    const part = async (range: { from: number; to?: number }) =>
      Buffer.from(await (await client.download('digits', { range })).bytes()).toString()
    expect([await part({ from: 2, to: 5 }), await part({ from: 7 })]).toEqual(['234', '789'])
    expect(await codeOf(client.download('digits', { range: { from: 10 } }))).toBe('range-not-satisfiable')
    expect(await codeOf(client.download('none'))).toBe('file-not-found')
  })

  it.each([
    { from: 5, to: 5 },
    { from: 0, to: 0 },
    { from: 5, to: 2 },
    { from: -3 },
    { from: 0.5 },
    { from: Number.NaN },
  ])('of the part %j, which no Range can name, is refused, and is not the whole file', async (range) => {
    const { client } = await start()
    await client.upload(Buffer.from('0123456789'), { name: 'digits' })
    expect(await codeOf(client.download('digits', { range }))).toBe('invalid-request')
  })

  it('fails at its end if the bytes do not have their digest', async () => {
    const { client, token } = await start()
    await client.upload(randomBytes(100), { name: 'beach.jpg' })
    const changed: typeof fetch = async (...request) => {
      const response = await fetch(...request)
      const bytes = new Uint8Array(await response.arrayBuffer())
      bytes[7] = (bytes[7] ?? 0) ^ 1
      return new Response(bytes, response)
    }
    const other = createClient({ baseUrl: (await app()).url, token, fetch: changed })
    const download = await other.download('beach.jpg')
    expect(await codeOf(download.bytes())).toBe('damaged-download')
  })

  it('may be left in the middle', async () => {
    const own = await testApp()
    const { client } = await signedIn(own)
    await client.upload(randomBytes(8 * MiB), { name: 'film.mp4' })
    for await (const _chunk of await client.download('film.mp4')) break
    await expect.poll(() => own.connections.filter(({ destroyed }) => !destroyed).length).toBeLessThan(3)
  })
})

describe('files', () => {
  it('are listed over many pages', async () => {
    const { client } = await start()
    const names = ['a', 'b1', 'b2', 'b3', 'c']
    for (const name of names) await client.upload(Buffer.from(name), { name })
    const listed = async (options: Parameters<typeof client.list>[0]) =>
      (await all(client.list(options))).map(({ name }) => name)
    expect(await listed({ sort: 'name', order: 'asc', pageSize: 2 })).toEqual(names)
    expect(await listed({ prefix: 'b', sort: 'name', order: 'desc' })).toEqual(['b3', 'b2', 'b1'])
    expect(await client.find('b')).toBe(null)
  })

  it('are listed one page at a time', async () => {
    const { client } = await start()
    for (const name of ['a', 'b1', 'b2', 'b3']) await client.upload(Buffer.from(name), { name })
    const list = { prefix: 'b', sort: 'name', order: 'desc', limit: 2 } as const
    const first = await client.page(list)
    const last = await client.page({ ...list, cursor: first.nextCursor })
    expect([first, last].map(({ files }) => files.map(({ name }) => name))).toEqual([['b3', 'b2'], ['b1']])
    expect([first.nextCursor !== null, last.nextCursor]).toEqual([true, null])
  })

  it('are counted by month, and listed from a month on', async () => {
    const { client } = await start()
    for (const day of ['2026-03-02', '2026-03-01', '2026-02-01'])
      await client.upload(Buffer.from(day), { name: day, takenAt: `${day}T12:00:00Z` })
    const months = await all(client.timeline({ pageSize: 1 }))
    expect(months.map(({ month, files }) => [month, files])).toEqual([
      ['2026-03', 2],
      ['2026-02', 1],
    ])
    const february = { sort: 'takenAt', order: 'desc', cursor: months[1]?.cursor ?? null } as const
    expect((await client.page(february)).files.map(({ name }) => name)).toEqual(['2026-02-01'])
  })

  it('are renamed, deleted, restored and deleted for good', async () => {
    const { client } = await start()
    const { file } = await client.upload(Buffer.from('sand'), { name: 'beach.txt' })
    await client.rename('beach.txt', 'sea.txt')
    expect(await codeOf(client.remove('beach.txt'))).toBe('file-not-found')
    await client.remove('sea.txt')
    const trashed = await all(client.trash.list({ pageSize: 1 }))
    expect(trashed.map(({ id, name }) => [id, name])).toEqual([[file.id, 'sea.txt']])
    expect((await client.trash.restore(file.id)).name).toBe('sea.txt')
    await client.remove('sea.txt')
    await client.trash.remove(file.id)
    await client.upload(Buffer.from('sand'), { name: 'beach.txt' })
    await client.remove('beach.txt')
    await client.trash.empty()
    expect(await all(client.trash.list())).toEqual([])
  })
})

describe('the changes', () => {
  /** A client's copy of the vault, and where it goes on. */
  function copy() {
    const names = new Map<string, string>()
    let at: string | null = null
    return {
      names: () => [...names.values()].sort(),
      cursor: () => at,
      apply({ changes, cursor }: Changes) {
        for (const change of changes) {
          if (change.type === 'file') names.set(change.file.id, change.file.name)
          else names.delete(change.id)
        }
        at = cursor
      },
    }
  }

  it('bring a copy up to date, page by page', async () => {
    const { client } = await start()
    const local = copy()
    for (const name of ['a', 'b', 'c']) await client.upload(Buffer.from(name), { name })
    for await (const page of client.changes({ pageSize: 2 })) local.apply(page)
    expect(local.names()).toEqual(['a', 'b', 'c'])

    await client.rename('a', 'd')
    await client.remove('b')
    for await (const page of client.changes({ cursor: local.cursor() })) local.apply(page)
    expect(local.names()).toEqual(['c', 'd'])
  })

  it('come while a client waits for them, until it is aborted', async () => {
    const { client } = await start()
    const local = copy()
    const end = new AbortController()
    const following = (async () => {
      for await (const page of client.changes({ wait: 30, signal: end.signal })) {
        local.apply(page)
        if (local.names().length === 0) void client.upload(Buffer.from('sand'), { name: 'beach.txt' })
        else end.abort(new Error('enough'))
      }
    })()
    await expect(following).rejects.toThrow('enough')
    expect(local.names()).toEqual(['beach.txt'])
  })

  it('begin again after a cursor that has expired', async () => {
    const own = await testApp({ CHANGES_DAYS: '1', SESSION_TTL_DAYS: '300' })
    const { client } = await signedIn(own)
    await client.upload(Buffer.from('sand'), { name: 'beach.txt' })
    const local = copy()
    for await (const page of client.changes()) local.apply(page)
    own.clock.turn(2 * DAY)
    await client.remove('beach.txt')
    own.clock.turn(2 * DAY)
    own.sweep()
    await own.settled()
    expect(await codeOf(all(client.changes({ cursor: local.cursor() })))).toBe('cursor-expired')
  })
})

describe('where fetch has no streams, as on React Native (simulated)', () => {
  /** Its responses have no body stream, and its requests take no `ReadableStream`. */
  const bare: typeof fetch = async (input, init) => {
    if (init?.body instanceof ReadableStream) throw new TypeError('no streams')
    const response = await fetch(input, init)
    const bytes = await response.arrayBuffer()
    return {
      ok: response.ok,
      status: response.status,
      headers: response.headers,
      arrayBuffer: async () => bytes,
      blob: async () => new Blob([bytes]),
      text: async () => Buffer.from(bytes).toString(),
      json: async () => JSON.parse(Buffer.from(bytes).toString()),
    } as Response
  }

  it('the client loads in an engine that has only ECMAScript', async () => {
    const entry = join(import.meta.dirname, '..', 'src', 'index.ts')
    const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, globalName: 'exported' })
    const text = outputFiles[0]?.text ?? ''
    // Older versions of Hermes refuse these when they compile.
    expect(text).not.toContain('\\p{')
    expect(runInNewContext(`${text}; Object.keys(exported)`)).toContain('createClient')
  })

  it('files go in and come out', async () => {
    const { token } = await start()
    const client = createClient({ baseUrl: (await app()).url, token, fetch: bare, createHash: sha256 })
    const bytes = randomBytes(5 * MiB)
    // Files come from a native module, as bytes.
    const source = {
      size: bytes.length,
      name: 'film.mp4',
      slice: (from: number, to: number) => bytes.subarray(from, to),
    }
    await client.upload(source)
    await client.upload(bytes.subarray(0, 1000), { name: 'photo.jpg' })
    expect(Buffer.from(await (await client.download('film.mp4')).bytes()).equals(bytes)).toBe(true)
    expect(await codeOf(client.download('none'))).toBe('file-not-found')
  })
})
