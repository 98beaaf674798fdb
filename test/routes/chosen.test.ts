/** Several files as one zip: GET /v1/me/export with ids. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { appForMany, DAY, type Member, member, testApp } from '../support/app.ts'
import { unzip, unzipForward } from '../support/unzip.ts'

const sharedApp = appForMany()

async function put(owner: Member, name: string, bytes: string | Buffer = name): Promise<string> {
  return ((await owner.put(name, bytes)).body as { id: string }).id
}

const discard = (owner: Member, name: string) =>
  owner.request(`/v1/files/${encodeURIComponent(name)}`, { method: 'DELETE' })

async function trashed(owner: Member, name: string, bytes: string | Buffer = name): Promise<string> {
  const id = await put(owner, name, bytes)
  await discard(owner, name)
  return id
}

const chosen = (owner: Member, ...ids: string[]) => owner.request(`/v1/me/export?ids=${ids.join(',')}`)

/** Path and content of each entry, in order. */
async function entriesOf(owner: Member, ...ids: string[]): Promise<[string, string][]> {
  const answer = await chosen(owner, ...ids)
  expect(answer.status).toBe(200)
  return (await unzip(answer.bytes)).map(({ path, bytes }) => [path, bytes.toString('latin1')])
}

describe('a zip of chosen files', () => {
  it('has just them, live or in the trash, in the order of their ids', async () => {
    const ada = await member(await sharedApp())
    const film = randomBytes(200_000)
    const ids = [await put(ada, 'film.mp4', film), await put(ada, 'a.txt', ''), await trashed(ada, 'été.jpg', 'gone')]
    await put(ada, 'another')
    const expected = [
      ['film.mp4', film.toString('latin1')],
      ['a.txt', ''],
      ['été.jpg', 'gone'],
    ]
    expect(await entriesOf(ada, ...ids)).toEqual(expected)
    expect(await entriesOf(ada, ...ids.slice(1), ...ids)).toEqual([expected[1], expected[2], expected[0]])
  })

  it('can be read by a reader that never seeks', async () => {
    const ada = await member(await sharedApp())
    const ids = [await put(ada, 'one', 'first'), await put(ada, 'two', randomBytes(70_000))]
    const found = unzipForward((await chosen(ada, ...ids)).bytes)
    expect([...found].map(([path, { length }]) => [path, length])).toEqual([
      ['one', 5],
      ['two', 70_000],
    ])
  })

  it('is a download that says how many they are', async () => {
    const ada = await member(await sharedApp())
    const ids = [await put(ada, 'one'), await put(ada, 'two')]
    const name = async (...some: string[]) => (await chosen(ada, ...some)).headers['content-disposition']
    expect(await name(...ids)).toBe('attachment; filename="minikeepsafe-2026-11-22-2-files.zip"')
    expect(await name(...ids.slice(1))).toBe('attachment; filename="minikeepsafe-2026-11-22-1-file.zip"')
    const head = await ada.request(`/v1/me/export?ids=${ids}`, { method: 'HEAD' })
    expect([head.status, head.headers['content-type'], head.bytes.length]).toEqual([200, 'application/zip', 0])
    const unknown = await ada.request('/v1/me/export?ids=none', { method: 'HEAD' })
    expect(unknown.status).toBe(404)
  })

  it('has names that every system can unpack, in any order of the ids', async () => {
    const ada = await member(await sharedApp())
    const ids = [
      await put(ada, 'a:b.jpg', '1'),
      await put(ada, 'a_b.jpg', '2'),
      await put(ada, 'A_b.jpg', '3'),
      await trashed(ada, 'CON', '4'),
      await trashed(ada, 'a_c.jpg', '5'),
    ]
    const expected = {
      'A_b.jpg': '3',
      'a_b (1).jpg': '1',
      'a_b (2).jpg': '2',
      _CON: '4',
      'a_c.jpg': '5',
    }
    expect(Object.fromEntries(await entriesOf(ada, ...ids))).toEqual(expected)
    expect(Object.fromEntries(await entriesOf(ada, ...ids.reverse()))).toEqual(expected)
  })

  it('has up to 300 files', async () => {
    const ada = await member(await sharedApp())
    const id = await put(ada, 'one')
    const others = (count: number) => Array.from({ length: count }, (_, n) => `other-${n}`)
    expect(await chosen(ada, id, ...others(299))).toBeProblem(404, 'file-not-found')
    expect(await chosen(ada, id, ...others(300))).toBeProblem(400, 'invalid-request')
  })

  it('is refused before its first byte if one of them is not there, or is another member’s', async () => {
    const app = await testApp({ TRASH_DAYS: '1' })
    const [ada, ben] = [await member(app), await member(app)]
    const [mine, theirs, old] = [await put(ada, 'mine'), await put(ben, 'theirs'), await trashed(ada, 'old')]
    expect(await chosen(ada, mine, theirs)).toBeProblem(404, 'file-not-found')
    expect(await chosen(ada, mine, 'none')).toBeProblem(404, 'file-not-found')
    expect((await chosen(ada, mine, old)).status).toBe(200)
    app.clock.turn(DAY)
    expect(await chosen(ada, mine, old)).toBeProblem(404, 'file-not-found')
  })

  it.each(['', ',', 'a,', ',a', 'a,,b', 'a b', 'a/b', 'é', `${'x'.repeat(65)}`])(
    'refuses the ids "%s"',
    async (ids) => {
      const ada = await member(await sharedApp())
      const answer = await ada.request(`/v1/me/export?ids=${encodeURIComponent(ids)}`)
      expect(answer).toBeProblem(400, 'invalid-request')
      expect(answer.body).toMatchObject({
        errors: [{ path: '/ids', message: expect.stringContaining('1 to 300 ids') }],
      })
    },
  )

  it('refuses two lists, and a request without a session', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    expect(await ada.request('/v1/me/export?ids=a&ids=b')).toBeProblem(400, 'invalid-request')
    expect(await app.request('/v1/me/export?ids=a')).toBeProblem(401, 'unauthorized')
  })

  it('is not in the activity list, as other downloads are not', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await chosen(ada, await put(ada, 'one'))
    await app.settled()
    const { events } = (await ada.request('/v1/activity')).body as { events: { kind: string }[] }
    expect(events.map(({ kind }) => kind)).not.toContain('export')
  })
})

describe('what changes while such a zip is made', () => {
  /** Does something after the request has found the files, before it reads them. */
  async function meanwhile(act: (owner: Member) => Promise<unknown>) {
    const app = await testApp()
    const ada = await member(app)
    const ids = [await put(ada, 'first'), await put(ada, 'second')]
    const { withIds } = app.ports.files
    app.ports.files.withIds = async (...args) => {
      const found = await withIds(...args)
      app.ports.files.withIds = withIds
      await act(ada)
      return found
    }
    return entriesOf(ada, ...ids)
  }

  it('is there in its new version, under its name of the beginning', async () => {
    const found = await meanwhile(async (ada) => {
      await ada.replace('first', 'new')
      await discard(ada, 'second')
    })
    expect(found).toEqual([
      ['first', 'new'],
      ['second', 'second'],
    ])
  })

  it('is missing only if it is gone for good', async () => {
    const found = await meanwhile(async (ada) => {
      await discard(ada, 'first')
      await ada.request('/v1/trash', { method: 'DELETE' })
    })
    expect(found).toEqual([['second', 'second']])
  })

  it('is read again if it was replaced between the reads of its row and its bytes', async () => {
    const app = await testApp()
    const ada = await member(app)
    const id = await put(ada, 'first')
    const { open } = app.ports.blobs
    app.ports.blobs.open = async (...args) => {
      app.ports.blobs.open = open
      await ada.replace('first', 'new')
      await app.settled()
      return open(...args)
    }
    expect(await entriesOf(ada, id)).toEqual([['first', 'new']])
  })

  it('is a 500 if its blob is missing, and the log names the file', async () => {
    const app = await testApp()
    const ada = await member(app)
    const id = await put(ada, 'first')
    app.ports.blobs.open = async () => null
    expect(await chosen(ada, id)).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toContain(id)
  })
})
