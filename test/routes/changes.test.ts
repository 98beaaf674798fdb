import { getEventListeners } from 'node:events'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  appForMany,
  DAY,
  type Member,
  member,
  memberWith,
  paired,
  type TestApp,
  temporaryFolder,
  testApp,
} from '../support/app.ts'
import { databaseOf } from '../support/operator.ts'

const sharedApp = appForMany()

interface Feed {
  changes: ({ type: 'file'; file: { id: string; name: string } } | { type: 'gone'; id: string; at: string })[]
  nextCursor: string
  more: boolean
}

async function feed(owner: Member, query: Record<string, string | number> = {}): Promise<Feed> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]))
  const { status, body } = await owner.request(`/v1/changes?${params}`)
  expect(status).toBe(200)
  return body as Feed
}

const names = ({ changes }: Feed) => changes.map((change) => (change.type === 'file' ? change.file.name : 'gone'))

/** Applies all changes to the files of a client, and returns its next cursor. */
async function followed(owner: Member, has: Map<string, string>, cursor?: string, limit = 3): Promise<string> {
  for (let next = cursor; ; ) {
    const page = await feed(owner, { limit, ...(next !== undefined && { cursor: next }) })
    for (const change of page.changes) {
      if (change.type === 'file') has.set(change.file.id, JSON.stringify(change.file))
      else has.delete(change.id)
    }
    next = page.nextCursor
    if (!page.more) return next
  }
}

async function live(owner: Member): Promise<Map<string, string>> {
  const { body } = await owner.request('/v1/files?limit=1000')
  return new Map((body as { files: { id: string }[] }).files.map((file) => [file.id, JSON.stringify(file)]))
}

const json = { 'content-type': 'application/json' }

/** Puts `file-0` and so on, without HTTP. */
async function putMany(app: TestApp, owner: Member, count: number) {
  const put = { contentType: null, taken: null, replaced: 'trash', announcedBytes: 1, guard() {}, check() {} } as const
  async function* bytes() {
    yield Buffer.from('x')
  }
  const names = Array.from({ length: count }, (_, n) => `file-${n}`)
  await Promise.all(names.map((name) => app.vault.files.put(owner.userId, name, bytes(), put)))
}

describe('the changes feed', () => {
  it('begins with everything that is live, and goes on with what changes', async () => {
    const ada = await member(await sharedApp())
    expect(await feed(ada)).toEqual({ changes: [], nextCursor: expect.any(String), more: false })
    const { body } = await ada.put('a', 'one')
    await ada.put('b', 'b')
    await ada.request('/v1/files/b', { method: 'DELETE' })
    const first = await feed(ada)
    expect(first).toEqual({ changes: [{ type: 'file', file: body }], nextCursor: expect.any(String), more: false })

    expect((await feed(ada, { cursor: first.nextCursor })).changes).toEqual([])
    const patch = { method: 'PATCH', headers: json, body: JSON.stringify({ takenAt: '2026-11-22T10:30:00+02:00' }) }
    const dated = await ada.request('/v1/files/a', patch)
    const second = await feed(ada, { cursor: first.nextCursor })
    expect(second.changes).toEqual([{ type: 'file', file: dated.body }])
    await ada.request('/v1/files/a', { method: 'DELETE' })
    const third = await feed(ada, { cursor: second.nextCursor })
    expect(third.changes).toEqual([{ type: 'gone', id: (body as { id: string }).id, at: expect.any(String) }])
    expect(names(await feed(ada, { cursor: first.nextCursor }))).toEqual(['gone'])
    const ben = await member(await sharedApp())
    expect((await feed(ben)).changes).toEqual([])
  })

  it('gives a client exactly the live files, whatever happens between its pages', async () => {
    const ada = await member(await sharedApp())
    let seed = 7
    const anyOf = (most: number) => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed % most
    }
    const name = () => `file-${anyOf(6)}`
    const has = new Map<string, string>()
    let cursor: string | undefined
    for (let round = 0; round < 12; round += 1) {
      const changes = Array.from({ length: 8 }, async (_, n) => {
        const kind = anyOf(5)
        if (kind < 2) await ada.put(name(), `${round} ${n}`)
        else if (kind === 2) await ada.request(`/v1/files/${name()}`, { method: 'DELETE' })
        else if (kind === 3) {
          const body = JSON.stringify({ name: name() })
          await ada.request(`/v1/files/${name()}`, { method: 'PATCH', headers: json, body })
        } else {
          const { files } = (await ada.request('/v1/trash')).body as { files: { id: string }[] }
          const id = files.at(anyOf(Math.max(1, files.length)))?.id
          if (id) await ada.request(`/v1/trash/${id}/restore?onConflict=rename`, { method: 'POST' })
        }
      })
      if (round % 2 === 0) await Promise.all(changes)
      cursor = await followed(ada, has, cursor, 1 + (round % 4))
      await Promise.all(changes)
    }
    await followed(ada, has, cursor)
    expect(has).toEqual(await live(ada))
    const fresh = new Map<string, string>()
    await followed(ada, fresh)
    expect(fresh).toEqual(has)
  })

  it('has pages of every length, with more as long as there is more', async () => {
    const ada = await member(await sharedApp())
    for (const name of ['a', 'b', 'c']) await ada.put(name, name)
    const one = await feed(ada, { limit: 2 })
    expect([names(one), one.more]).toEqual([['a', 'b'], true])
    const two = await feed(ada, { limit: 2, cursor: one.nextCursor })
    expect([names(two), two.more]).toEqual([['c'], false])
    const all = await feed(ada, { limit: 3 })
    expect([names(all), all.more]).toEqual([['a', 'b', 'c'], false])
  })

  it('has more after a page that is as long as one read of the database', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await putMany(app, ada, 251)
    const page = await feed(ada, { limit: 250 })
    expect([page.changes.length, page.more]).toEqual([250, true])
    const last = await feed(ada, { limit: 250, cursor: page.nextCursor })
    expect([last.changes.length, last.more]).toEqual([1, false])
  })

  it('misses nothing that is deleted while a new client reads a long first page', async () => {
    const app = await testApp()
    const ada = await member(app)
    await putMany(app, ada, 520)
    const { changes } = app.ports
    const page = changes.page.bind(changes)
    let pieces = 0
    changes.page = async (...query) => {
      const piece = await page(...query)
      pieces += 1
      // A file that was in the first piece, and one that was not read yet.
      if (pieces < 3) await ada.request(`/v1/files/${pieces === 1 ? 'file-0' : 'file-519'}`, { method: 'DELETE' })
      return piece
    }
    const has = new Map<string, string>()
    await followed(ada, has, await followed(ada, has, undefined, 1000), 1000)
    expect(pieces).toBeGreaterThan(3)
    expect(has.size).toBe(518)
    expect(has).toEqual(await live(ada))
  })

  it.each([
    ['another text', 'not-a-cursor'],
    ['the cursor of a list', Buffer.from(JSON.stringify(['\0name\0asc', 'a', 'id'])).toString('base64url')],
    ['a negative number', Buffer.from(JSON.stringify(['changes', '', '', -1, 0, 0])).toString('base64url')],
    ['a fraction', Buffer.from(JSON.stringify(['changes', '', '', 0, 0.5, 0])).toString('base64url')],
  ])('refuses %s as a cursor', async (_, cursor) => {
    const ada = await member(await sharedApp())
    expect(await ada.request(`/v1/changes?cursor=${cursor}`)).toBeProblem(400, 'invalid-cursor')
  })

  it.each(['61', '-1', 'soon'])('refuses to wait for %s seconds', async (wait) => {
    const ada = await member(await sharedApp())
    expect(await ada.request(`/v1/changes?wait=${wait}`)).toBeProblem(400, 'invalid-request')
  })

  it('takes a cursor for CHANGES_DAYS, and forgets no change before', async () => {
    const app = await testApp({ CHANGES_DAYS: '2' })
    const ada = await member(app)
    const has = new Map<string, string>()
    await ada.put('a', 'a')
    const cursor = await followed(ada, has)
    await ada.request('/v1/files/a', { method: 'DELETE' })
    app.clock.turn(2 * DAY)
    app.sweep()
    await app.settled()
    expect(names(await feed(ada, { cursor }))).toEqual(['gone'])
    app.clock.turn(1)
    expect(await ada.request(`/v1/changes?cursor=${cursor}`)).toBeProblem(410, 'cursor-expired')
    // A change that was forgotten ends cursors from before it, also where the setting is longer now.
    app.clock.turn(DAY)
    app.sweep()
    await app.settled()
    const forged = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    forged[5] = app.clock()
    const renewed = Buffer.from(JSON.stringify(forged)).toString('base64url')
    expect(await ada.request(`/v1/changes?cursor=${renewed}`)).toBeProblem(410, 'cursor-expired')
    expect((await feed(ada)).changes).toEqual([])
  })

  it('refuses a cursor of another history, or of a later change than the last one', async () => {
    const ada = await member(await sharedApp())
    await ada.put('a', 'a')
    const { nextCursor } = await feed(ada)
    const [of, owner, history, revision, begunAt, givenAt] = JSON.parse(Buffer.from(nextCursor, 'base64url').toString())
    const changed = [
      [of, owner, 'other', revision, begunAt, givenAt],
      [of, owner, history, revision + 1, begunAt, givenAt],
      [of, owner, history, revision, begunAt + 1, givenAt],
    ]
    for (const content of changed) {
      const cursor = Buffer.from(JSON.stringify(content)).toString('base64url')
      expect(await ada.request(`/v1/changes?cursor=${cursor}`)).toBeProblem(410, 'cursor-expired')
    }
  })
})

describe('an earlier database, brought back without `restore`', () => {
  it('ends the cursors of its clients, if the operator runs the statement in docs/operating.md', async () => {
    const folder = await temporaryFolder()
    const copy = join(folder, 'copy.db')
    const former = await testApp({}, folder)
    const ada = await member(former)
    const database = databaseOf(former)
    await database.backup(copy)
    database.close()
    await ada.put('lost', 'lost')
    const { nextCursor } = await feed(ada)
    await former.close()

    await copyFile(copy, join(former.config.DATA_DIR, 'minikeepsafe.db'))
    const app = await testApp({}, folder)
    const later = memberWith(app, ada)
    await later.put('new', 'new')
    // The new change has the number of the lost one, so the client would never see it.
    expect(names(await feed(later, { cursor: nextCursor }))).toEqual([])
    const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'operating.md'), 'utf8')
    const [, statement = ''] = /^(UPDATE users SET history = .*randomblob.*)$/m.exec(page) ?? []
    databaseOf(app).exec(statement)
    expect(await later.request(`/v1/changes?cursor=${nextCursor}`)).toBeProblem(410, 'cursor-expired')
    expect(names(await feed(later))).toEqual(['new'])
  })
})

describe('a cursor of a former account', () => {
  it('is expired for the account that has its address now, so the app starts again', async () => {
    const app = await sharedApp()
    const email = 'again@example.org'
    const ada = await member(app, email)
    await ada.put('a', 'a')
    const { nextCursor } = await feed(ada)
    await ada.request('/v1/me', { method: 'DELETE' })
    const again = await member(app, email)
    await again.put('b', 'b')

    expect(await again.request(`/v1/changes?cursor=${nextCursor}`)).toBeProblem(410, 'cursor-expired')
    expect(await again.request(`/v1/changes?cursor=${nextCursor}&wait=1`)).toBeProblem(410, 'cursor-expired')
    expect(names(await feed(again))).toEqual(['b'])
  })
})

describe('a client that waits for changes', () => {
  const whenWaiting = () => pause(50)

  it('gets each kind of change when it happens', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const phone = await paired(app, ada)
    const file = (await ada.put('a', 'a')).body as { id: string }
    let { nextCursor: cursor } = await feed(phone)
    const kinds: [string, () => Promise<unknown>][] = [
      ['b', () => ada.put('b', 'b')],
      ['c', () => ada.request('/v1/files/b', { method: 'PATCH', headers: json, body: '{"name":"c"}' })],
      ['gone', () => ada.request('/v1/files/a', { method: 'DELETE' })],
      ['a', () => ada.request(`/v1/trash/${file.id}/restore`, { method: 'POST' })],
    ]
    for (const [name, change] of kinds) {
      const waiting = feed(phone, { cursor, wait: 60 })
      await whenWaiting()
      await change()
      const heard = await waiting
      expect(names(heard)).toEqual([name])
      cursor = heard.nextCursor
    }
  })

  it('gets what is there already at once, and nothing once its time is over', async () => {
    const ada = await member(await sharedApp())
    const { nextCursor: cursor } = await feed(ada, { wait: 0.05 })
    expect(await feed(ada, { cursor, wait: 0.05 })).toEqual({
      changes: [],
      nextCursor: expect.any(String),
      more: false,
    })
    await ada.put('a', 'a')
    expect(names(await feed(ada, { cursor, wait: 60 }))).toEqual(['a'])
    expect(names(await feed(ada, { wait: 60 }))).toEqual(['a'])
  })

  it('without a cursor gets the first file of an empty vault', async () => {
    const ada = await member(await sharedApp())
    const waiting = feed(ada, { wait: 60 })
    await whenWaiting()
    await ada.put('first', 'a')
    expect(names(await waiting)).toEqual(['first'])
  })

  it('gets a 410 without waiting if its cursor has expired', async () => {
    const app = await testApp({ CHANGES_DAYS: '1' })
    const ada = await member(app)
    const { nextCursor } = await feed(ada)
    app.clock.turn(DAY + 1)
    expect(await ada.request(`/v1/changes?wait=60&cursor=${nextCursor}`)).toBeProblem(410, 'cursor-expired')
  })

  it('is not told of changes of others', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    const { nextCursor: cursor } = await feed(ada)
    const waiting = feed(ada, { cursor, wait: 0.3 })
    await whenWaiting()
    await ben.put('b', 'b')
    expect((await waiting).changes).toEqual([])
  })

  it('gets a 401 when its session is ended', async () => {
    const app = await testApp()
    const ada = await member(app)
    const phone = await paired(app, ada)
    const { nextCursor: cursor } = await feed(phone)
    const waiting = phone.request(`/v1/changes?cursor=${cursor}&wait=60`)
    await whenWaiting()
    await ada.request(`/v1/sessions/${phone.sessionId}`, { method: 'DELETE' })
    expect(await waiting).toBeProblem(401, 'unauthorized')
    const { nextCursor } = await feed(ada)
    const last = ada.request(`/v1/changes?cursor=${nextCursor}&wait=60`)
    await whenWaiting()
    await ada.request('/v1/me', { method: 'DELETE' })
    expect(await last).toBeProblem(401, 'unauthorized')
  })

  it('does not keep the server from stopping', async () => {
    const app = await testApp()
    const ada = await member(app)
    const { nextCursor: cursor } = await feed(ada)
    const waiting = feed(ada, { cursor, wait: 60 })
    await whenWaiting()
    app.drain()
    expect((await waiting).changes).toEqual([])
    await app.close()
  })

  it('leaves nothing behind at its client when it has waited', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const client = new AbortController()
    await app.vault.changes.wait(ada.userId, null, client.signal, async () => true)
    expect(getEventListeners(client.signal, 'abort')).toEqual([])
  })

  it('leaves nothing behind when it goes', async () => {
    const app = await testApp()
    const ada = await member(app)
    const { nextCursor: cursor } = await feed(ada)
    const leaving = new AbortController()
    const waiting = fetch(`${app.url}/v1/changes?cursor=${cursor}&wait=60`, {
      headers: { authorization: `Bearer ${ada.token}` },
      signal: leaving.signal,
    })
    await whenWaiting()
    leaving.abort()
    await expect(waiting).rejects.toThrow()
    await app.close()
    expect(app.log.join('\n')).not.toMatch(/"level":[56]0/)
  })
})
