import { describe, expect, it } from 'vitest'
import { appForMany, blobsOnDisk, DAY, type Member, member, SECOND, type TestApp, testApp } from '../support/app.ts'

const sharedApp = appForMany()

interface Trashed {
  id: string
  name: string
  deletedAt: string
  expiresAt: string
}

interface Page {
  files: Trashed[]
  nextCursor: string | null
}

/** Puts a file, deletes it, and answers its id. */
async function trashed(owner: Member, name: string, bytes: string | Buffer = name): Promise<string> {
  const { body } = await owner.put(name, bytes)
  await owner.request(`/v1/files/${encodeURIComponent(name)}`, { method: 'DELETE' })
  return (body as { id: string }).id
}

async function page(owner: Member, query = ''): Promise<Page> {
  const answer = await owner.request(`/v1/trash${query}`)
  expect(answer.status).toBe(200)
  return answer.body as Page
}

const names = async (owner: Member) => (await page(owner)).files.map(({ name }) => name)
const restore = (owner: Member, id: string, query = '') =>
  owner.request(`/v1/trash/${id}/restore${query}`, { method: 'POST' })
const remove = (owner: Member, id: string) => owner.request(`/v1/trash/${id}`, { method: 'DELETE' })
const empty = (owner: Member) => owner.request('/v1/trash', { method: 'DELETE' })

async function sweep(app: TestApp): Promise<void> {
  app.sweep()
  await app.settled()
}

describe('the trash', () => {
  it('is empty at first', async () => {
    const app = await sharedApp()
    expect(await page(await member(app))).toEqual({ files: [], nextCursor: null })
  })

  it('has all of a file, and when it was deleted and will be gone', async () => {
    const app = await testApp({ TRASH_DAYS: '7' })
    const ada = await member(app)
    const uploaded = await ada.put('beach.jpg', 'sand', { 'content-type': 'image/jpeg' })
    app.clock.turn(5 * SECOND)
    await ada.request('/v1/files/beach.jpg', { method: 'DELETE' })
    expect((await page(ada)).files).toEqual([
      {
        ...(uploaded.body as object),
        deletedAt: new Date(app.clock()).toISOString(),
        expiresAt: new Date(app.clock() + 7 * DAY).toISOString(),
      },
    ])
  })

  it('has nothing of another member', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await trashed(ada, 'beach.jpg')
    expect(await names(ben)).toEqual([])
  })

  it('may have several files of one name', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const ids = [await trashed(ada, 'a', 'first'), await trashed(ada, 'a', 'second')]
    const { files } = await page(ada)
    expect(files.map(({ id }) => id).sort()).toEqual(ids.sort())
  })

  it('comes page by page, the last deleted first', async () => {
    const app = await testApp()
    const ada = await member(app)
    // Two are deleted at one time, so their ids break the tie.
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await trashed(ada, name)
      if (name !== 'b') app.clock.turn(SECOND)
    }
    const found: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { files, nextCursor }: Page = await page(ada, `?limit=2${cursor && `&cursor=${cursor}`}`)
      found.push(...files.map(({ name }) => name))
      cursor = nextCursor
    }
    expect([found.slice(0, 2), found.slice(2, 4).sort(), found.slice(4)]).toEqual([['e', 'd'], ['b', 'c'], ['a']])
  })

  it.each(['limit=0', 'limit=1001', 'limit=x'])('refuses %s', async (query) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect(await ada.request(`/v1/trash?${query}`)).toBeProblem(400, 'invalid-request')
  })

  it('refuses a cursor of another list', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const name of ['a', 'b']) {
      await trashed(ada, name)
      await ada.put(name, 'again')
    }
    const { nextCursor } = await page(ada, '?limit=1')
    const ofFiles = (await ada.request('/v1/files?limit=1&sort=size')).body as Page
    expect(await ada.request(`/v1/files?cursor=${nextCursor}`)).toBeProblem(400, 'invalid-cursor')
    expect(await ada.request(`/v1/trash?cursor=${ofFiles.nextCursor}`)).toBeProblem(400, 'invalid-cursor')
    expect(await ada.request('/v1/trash?cursor=nonsense')).toBeProblem(400, 'invalid-cursor')
  })
})

describe('restoring a file', () => {
  it('answers 200 with its entity tag and the file as it was', async () => {
    const app = await testApp()
    const ada = await member(app)
    const before = await ada.put('beach.jpg', 'sand', { 'content-type': 'image/jpeg' })
    const { id } = before.body as { id: string }
    await ada.request('/v1/files/beach.jpg', { method: 'DELETE' })
    app.clock.turn(DAY)

    const answer = await restore(ada, id)

    expect(answer.status).toBe(200)
    expect(answer.headers.etag).toBe(before.headers.etag)
    expect(answer.body).toEqual(before.body)
    expect((await ada.get('beach.jpg')).body).toBe('sand')
    expect(await names(ada)).toEqual([])
  })

  it('refuses where the name is taken again', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const id = await trashed(ada, 'beach.jpg', 'sand')
    await ada.put('beach.jpg', 'water')
    expect(await restore(ada, id)).toBeProblem(409, 'file-exists')
    expect(await restore(ada, id, '?onConflict=fail')).toBeProblem(409, 'file-exists')
    expect(await names(ada)).toEqual(['beach.jpg'])
    expect((await ada.get('beach.jpg')).body).toBe('water')
  })

  it('numbers a taken name where asked to', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const id = await trashed(ada, 'beach.jpg', 'sand')
    await ada.put('beach.jpg', 'water')
    await ada.put('beach (1).jpg', 'wind')
    const answer = await restore(ada, id, '?onConflict=rename')
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ id, name: 'beach (2).jpg' })])
    expect((await ada.get('beach (2).jpg')).body).toBe('sand')
  })

  it('takes no other answer to a conflict', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const id = await trashed(ada, 'beach.jpg')
    expect(await restore(ada, id, '?onConflict=replace')).toBeProblem(400, 'invalid-request')
  })

  it('happens once, however many ask at once', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const id = await trashed(ada, 'beach.jpg')
    const answers = await Promise.all(Array.from({ length: 8 }, () => restore(ada, id, '?onConflict=rename')))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...new Array(7).fill(404)])
  })

  it('gives each of many of one name a name of its own', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const ids = []
    for (let n = 0; n < 8; n += 1) ids.push(await trashed(ada, 'beach.jpg', `bytes ${n}`))
    const answers = await Promise.all(ids.map((id) => restore(ada, id, '?onConflict=rename')))
    expect(answers.map(({ status }) => status)).toEqual(new Array(8).fill(200))
    expect(new Set(answers.map(({ body }) => (body as { name: string }).name)).size).toBe(8)
  })
})

describe('what is gone for good', () => {
  it('is one file by its id, with its bytes', async () => {
    const app = await testApp()
    const ada = await member(app)
    const [gone, kept] = [await trashed(ada, 'gone'), await trashed(ada, 'kept')]
    const answer = await remove(ada, gone)
    expect([answer.status, answer.bytes.length]).toEqual([204, 0])
    expect(await names(ada)).toEqual(['kept'])
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect((await restore(ada, kept)).status).toBe(200)
  })

  it('is removed once, however many ask at once', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const id = await trashed(ada, 'beach.jpg')
    const answers = await Promise.all(Array.from({ length: 8 }, () => remove(ada, id)))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...new Array(7).fill(404)])
  })

  it('is restored or removed, not both', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (let n = 0; n < 20; n += 1) {
      const id = await trashed(ada, 'beach.jpg', `bytes ${n}`)
      const acts = [() => restore(ada, id), () => remove(ada, id)]
      if (n % 2 === 1) acts.reverse()
      const [restored, removed] = [...(await Promise.all(acts.map((act) => act())))].sort((a, b) => a.status - b.status)
      expect([restored?.status, removed?.status]).toEqual([
        expect.toSatisfy((status) => [200, 204].includes(status)),
        404,
      ])
      await ada.request('/v1/files/beach.jpg', { method: 'DELETE' })
    }
  })

  it('is all of the trash when it is emptied, and nothing else', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    for (const name of ['a', 'b', 'c']) await trashed(ada, name)
    await ada.put('kept', 'kept')
    await trashed(ben, 'theirs')
    expect((await empty(ada)).status).toBe(204)
    expect([await names(ada), await names(ben)]).toEqual([[], ['theirs']])
    expect((await ada.get('kept')).body).toBe('kept')
    expect(await blobsOnDisk(app)).toHaveLength(2)
    expect((await empty(ada)).status).toBe(204)
  })

  it('is all of a trash of more files than are removed in one act', async () => {
    const app = await testApp()
    const ada = await member(app)
    const many = Array.from({ length: 51 }, (_, n) => `file ${n}`)
    await Promise.all(many.map((name) => trashed(ada, name)))
    expect((await empty(ada)).status).toBe(204)
    expect(await names(ada)).toEqual([])
    expect(await blobsOnDisk(app)).toEqual([])
    expect(await app.ports.ledger.garbage(10)).toEqual([])
  })

  it('is whatever was in the trash for TRASH_DAYS, at that very moment; the bytes with the next sweep', async () => {
    const app = await testApp({ TRASH_DAYS: '1.5' })
    const ada = await member(app)
    const old = await trashed(ada, 'old')
    app.clock.turn(SECOND)
    const young = await trashed(ada, 'young')
    app.clock.turn(1.5 * DAY - SECOND)

    expect(await names(ada)).toEqual(['young'])
    expect(await restore(ada, old)).toBeProblem(404, 'file-not-found')
    expect(await remove(ada, old)).toBeProblem(404, 'file-not-found')
    await sweep(app)
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect((await restore(ada, young)).status).toBe(200)
  })

  it('is a file at once where TRASH_DAYS is 0', async () => {
    const app = await testApp({ TRASH_DAYS: '0' })
    const ada = await member(app)
    const id = await trashed(ada, 'beach.jpg')
    expect(await names(ada)).toEqual([])
    expect(await restore(ada, id)).toBeProblem(404, 'file-not-found')
    await sweep(app)
    expect(await blobsOnDisk(app)).toEqual([])
  })
})

describe('an id', () => {
  it.each(['nonsense', '%00', 'x'.repeat(5000), '..%2f..'])('that is none, like %s, is 404', async (id) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect(await restore(ada, id)).toBeProblem(404, 'file-not-found')
    expect(await remove(ada, id)).toBeProblem(404, 'file-not-found')
  })

  it('of another member’s trash is 404', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    const id = await trashed(ada, 'beach.jpg')
    expect(await restore(ben, id)).toBeProblem(404, 'file-not-found')
    expect(await remove(ben, id)).toBeProblem(404, 'file-not-found')
    expect(await names(ada)).toEqual(['beach.jpg'])
  })

  it('of a file that is not in the trash is 404', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const { id } = (await ada.put('beach.jpg', 'sand')).body as { id: string }
    expect(await restore(ada, id)).toBeProblem(404, 'file-not-found')
    expect(await remove(ada, id)).toBeProblem(404, 'file-not-found')
    expect((await ada.get('beach.jpg')).body).toBe('sand')
  })
})

it('answers with the version that is restored, where another took its place in the trash meanwhile', async () => {
  const app = await testApp()
  const ada = await member(app)
  const id = await trashed(ada, 'photo', 'older')
  const act = app.ports.trash.restore
  app.ports.trash.restore = async (...asked) => {
    app.ports.trash.restore = act
    await restore(ada, id)
    await trashed(ada, 'photo', 'newest')
    return act(...asked)
  }
  expect((await restore(ada, id)).body).toMatchObject({ name: 'photo', size: 6 })
  expect((await ada.get('photo')).body).toBe('newest')
})

it('is listed, as files are, in pages that are longer than what is read at once', async () => {
  const ada = await member(await testApp())
  const names = Array.from({ length: 260 }, (_, n) => `file-${String(n).padStart(3, '0')}`)
  await Promise.all(names.map((name) => ada.put(name, name)))
  for (const query of ['sort=name', 'sort=size', 'sort=createdAt&order=desc']) {
    const { files } = (await ada.request(`/v1/files?limit=1000&${query}`)).body as { files: { name: string }[] }
    expect(files.map(({ name }) => name).sort()).toEqual(names)
  }
  await Promise.all(names.map((name) => ada.request(`/v1/files/${name}`, { method: 'DELETE' })))
  const { files } = (await ada.request('/v1/trash?limit=1000')).body as { files: { name: string }[] }
  expect(files.map(({ name }) => name).sort()).toEqual(names)
})
