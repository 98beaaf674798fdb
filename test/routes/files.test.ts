import { describe, expect, it } from 'vitest'
import { appForMany, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { databaseOf } from '../support/operator.ts'

const sharedApp = appForMany()

interface Page {
  files: { name: string; size: number }[]
  nextCursor: string | null
}

async function page(owner: Member, query: Record<string, string | number> = {}): Promise<Page> {
  const params = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  )
  const answer = await owner.request(`/v1/files?${params}`)
  expect(answer.status).toBe(200)
  return answer.body as Page
}

async function whole(owner: Member, query: Record<string, string | number> = {}): Promise<string[]> {
  const found: string[] = []
  let cursor: string | null = null
  do {
    const { files, nextCursor }: Page = await page(owner, cursor === null ? query : { ...query, cursor })
    found.push(...files.map(({ name }) => name))
    cursor = nextCursor
  } while (cursor !== null)
  return found
}

describe('the list of files', () => {
  it('is empty at first', async () => {
    const app = await sharedApp()
    expect(await page(await member(app))).toEqual({ files: [], nextCursor: null })
  })

  it('has all of a file but its bytes', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const uploaded = await ada.put('beach.jpg', 'sand', { 'content-type': 'image/jpeg' })
    expect((await page(ada)).files).toEqual([uploaded.body])
  })

  it('has nothing of another member', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('beach.jpg', 'sand')
    expect((await page(ben)).files).toEqual([])
  })

  it('comes in pages of fifty', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const names = Array.from({ length: 51 }, (_, n) => `file-${String(n).padStart(2, '0')}`)
    await Promise.all(names.map((name) => ada.put(name, name)))
    const first = await page(ada)
    expect(first.files.map(({ name }) => name)).toEqual(names.slice(0, 50))
    expect((await page(ada, { cursor: first.nextCursor ?? '' })).files.map(({ name }) => name)).toEqual(names.slice(50))
  })

  it('has no cursor on a last page that is full', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const name of ['a', 'b']) await ada.put(name, name)
    expect((await page(ada, { limit: 2 })).nextCursor).toBeNull()
  })

  it.each([
    ['name', 'asc', ['a', 'b', 'c']],
    ['name', 'desc', ['c', 'b', 'a']],
    ['size', 'asc', ['b', 'c', 'a']],
    ['size', 'desc', ['a', 'c', 'b']],
    ['createdAt', 'asc', ['c', 'a', 'b']],
    ['createdAt', 'desc', ['b', 'a', 'c']],
    ['updatedAt', 'asc', ['a', 'b', 'c']],
    ['updatedAt', 'desc', ['c', 'b', 'a']],
  ])('is sorted by %s %s, page by page', async (sort, order, expected) => {
    const app = await testApp()
    const ada = await member(app)
    for (const [name, size] of [
      ['c', 1],
      ['a', 3],
      ['b', 1],
      ['c', 2],
    ] as const) {
      await ada.put(name, 'x'.repeat(size))
      app.clock.turn(1000)
    }
    expect(await whole(ada, { sort, order, limit: 1 })).toEqual(expected)
  })

  it('has the names that begin with a prefix', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const name of ['IMG_1', 'IMG_2', 'img_3', 'IMG%', 'holiday']) await ada.put(name, name)
    expect(await whole(ada, { prefix: 'IMG_', limit: 1 })).toEqual(['IMG_1', 'IMG_2'])
  })

  it('has the name whose normal form C fits, where the prefix comes in another that is longer', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const name = `${'ǖ'.repeat(127)}x`
    await ada.put(name, 'sand')
    expect(await whole(ada, { prefix: name.normalize('NFD') })).toEqual([name])
    const refused = await ada.request(`/v1/files?prefix=${'x'.repeat(256)}`)
    expect(refused).toBeProblem(400, 'invalid-request')
    expect(refused.body).toMatchObject({ errors: [{ path: '/prefix' }] })
  })

  it.each([{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { sort: 'colour' }, { order: 'up' }])(
    'refuses %j',
    async (query) => {
      const app = await sharedApp()
      const ada = await member(app)
      const params = new URLSearchParams(
        Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
      )
      const answer = await ada.request(`/v1/files?${params}`)
      expect(answer).toBeProblem(400, 'invalid-request')
      expect((answer.body as { errors: { path: string }[] }).errors[0]?.path).toBe(`/${Object.keys(query)[0]}`)
    },
  )

  it('takes up to a thousand', async () => {
    const app = await sharedApp()
    expect((await page(await member(app), { limit: 1000 })).files).toEqual([])
  })

  it('refuses a cursor of another list, and what is none', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const name of ['a', 'b']) await ada.put(name, name)
    const { nextCursor } = await page(ada, { limit: 1 })
    const cursors = [
      `cursor=${nextCursor}&sort=size`,
      `cursor=${nextCursor}&order=desc`,
      `cursor=${nextCursor}&prefix=a`,
      'cursor=nonsense',
      'cursor=',
      `cursor=${Buffer.from('["\\u0000name\\u0000asc",5,"id"]').toString('base64url')}`,
      `cursor=${Buffer.from('["\\u0000name\\u0000asc","a",{}]').toString('base64url')}`,
      `cursor=${Buffer.from('"text"').toString('base64url')}`,
    ]
    for (const query of cursors) {
      expect(await ada.request(`/v1/files?${query}`)).toBeProblem(400, 'invalid-cursor')
    }
  })

  it('goes on behind a file that was replaced', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const name of ['a', 'b', 'c']) await ada.put(name, name)
    const { nextCursor } = await page(ada, { limit: 1 })
    await ada.put('a', 'other')
    expect((await page(ada, { cursor: nextCursor ?? '' })).files.map(({ name }) => name)).toEqual(['b', 'c'])
  })
})

describe('a list of very many files', () => {
  /** Rows that are not to be opened: their names begin with `x-`, and they are older than any other. */
  function addRows(app: TestApp, owner: string, count: number) {
    databaseOf(app)
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
         INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, version, seal)
         SELECT 'id-' || i, ?, 'x-' || i, 1, 'a/b', i, i, 'version-' || i, x'00' FROM n`,
      )
      .run(count, owner)
  }

  it('ends a page early where few names begin so, and goes on behind it', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const name of ['rare-1', 'rare-2']) await ada.put(name, name)
    addRows(app, ada.userId, 20_500)
    const page = async (query: string) => {
      const { files, nextCursor } = (await ada.request(`/v1/files?prefix=rare-&sort=createdAt&${query}`)).body as {
        files: { name: string }[]
        nextCursor: string | null
      }
      return { names: files.map(({ name }) => name).sort(), nextCursor }
    }
    const first = await page('')
    expect(first).toEqual({ names: [], nextCursor: expect.any(String) })
    expect(await page(`cursor=${first.nextCursor}`)).toEqual({ names: ['rare-1', 'rare-2'], nextCursor: null })

    const one = await page('order=desc&limit=1')
    expect(one).toMatchObject({ names: [expect.stringMatching('rare-')], nextCursor: expect.any(String) })
    const other = await page(`order=desc&limit=1&cursor=${one.nextCursor}`)
    expect([...one.names, ...other.names].sort()).toEqual(['rare-1', 'rare-2'])
  })

  it('costs a scan as much as a long page', async () => {
    const app = await testApp({ RATE_LIMIT: 'on' })
    const ada = await member(app)
    expect((await ada.request('/v1/files?prefix=a&sort=size&limit=1')).headers.ratelimit).toBe('"requests";r=5980;t=60')
    expect((await ada.request('/v1/files?prefix=a&limit=1')).headers.ratelimit).toBe('"requests";r=5979;t=60')
  })

  it.each([
    ['seal', "UPDATE files SET seal = zeroblob(105) WHERE name = 'a'"],
    ['size', "UPDATE files SET size = 2 WHERE name = 'a'"],
    ['seal of another file', "UPDATE files SET seal = (SELECT seal FROM files WHERE name = 'b') WHERE name = 'a'"],
  ])('finds another %s also in a row that it has listed before', async (_what, sql) => {
    const app = await testApp()
    const ada = await member(app)
    for (const name of ['a', 'b']) await ada.put(name, name)
    for (let n = 0; n < 2; n += 1) expect((await ada.request('/v1/files')).status).toBe(200)
    databaseOf(app).exec(sql)
    expect(await ada.request('/v1/files')).toBeProblem(500, 'internal-error')
  })
})
