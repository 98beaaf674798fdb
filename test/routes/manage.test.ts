import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { appForMany, blobsOnDisk, type Member, member, SECOND, testApp } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const etag = (bytes: string) => `"${createHash('sha256').update(bytes).digest('hex')}"`

const rename = (owner: Member, name: string, newName: unknown, headers: Record<string, string> = {}) =>
  owner.request(`/v1/files/${encodeURIComponent(name)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ name: newName }),
  })
const remove = (owner: Member, name: string, headers: Record<string, string> = {}) =>
  owner.request(`/v1/files/${encodeURIComponent(name)}`, { method: 'DELETE', headers })

async function names(owner: Member, list: 'files' | 'trash' = 'files'): Promise<string[]> {
  const { body } = await owner.request(`/v1/${list}`)
  return (body as { files: { name: string }[] }).files.map(({ name }) => name)
}

const PRECONDITIONS: [what: string, headers: Record<string, string>, holds: boolean][] = [
  ['If-Match of this version', { 'if-match': etag('sand') }, true],
  ['If-Match of another version', { 'if-match': etag('water') }, false],
  ['If-Match: *', { 'if-match': '*' }, true],
  ['If-None-Match of this version', { 'if-none-match': etag('sand') }, false],
  ['If-None-Match of another version', { 'if-none-match': etag('water') }, true],
  ['If-None-Match: *', { 'if-none-match': '*' }, false],
  ['If-Unmodified-Since now', { 'if-unmodified-since': 'Sun, 22 Nov 2026 08:30:00 GMT' }, true],
  ['If-Unmodified-Since before', { 'if-unmodified-since': 'Sun, 22 Nov 2026 08:29:59 GMT' }, false],
]

describe('renaming a file', () => {
  it('answers 200 with its entity tag and the file, of which nothing else has changed but the date of its name', async () => {
    const app = await testApp()
    const ada = await member(app)
    const before = await ada.put('beach.jpg', 'sand', { 'content-type': 'image/jpeg' })
    app.clock.turn(5 * SECOND)

    const answer = await rename(ada, 'beach.jpg', 'Strand 🏖.jpg')

    expect(answer.status).toBe(200)
    expect(answer.headers.etag).toBe(before.headers.etag)
    expect(answer.body).toEqual({ ...(before.body as object), name: 'Strand 🏖.jpg' })
    expect(await ada.get('beach.jpg')).toBeProblem(404, 'file-not-found')
    const after = await ada.get('Strand 🏖.jpg')
    expect([after.body, after.headers['last-modified']]).toEqual(['sand', 'Sun, 22 Nov 2026 08:30:05 GMT'])
  })

  it('refuses a taken name, whatever bytes have it, and changes nothing', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const [name, bytes] of [
      ['a', 'same'],
      ['b', 'same'],
      ['c', 'other'],
    ] as const) {
      await ada.put(name, bytes)
    }
    for (const taken of ['b', 'c']) expect(await rename(ada, 'a', taken)).toBeProblem(409, 'file-exists')
    expect(await names(ada)).toEqual(['a', 'b', 'c'])
    expect((await ada.get('c')).body).toBe('other')
  })

  it('to its own name is done already', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const before = await ada.put('beach.jpg', 'sand')
    const answer = await rename(ada, 'beach.jpg', 'beach.jpg')
    expect([answer.status, answer.body]).toEqual([200, before.body])
  })

  it('takes a name that another member has', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('mine', 'sand')
    await ben.put('theirs', 'water')
    expect((await rename(ada, 'mine', 'theirs')).status).toBe(200)
    expect((await ben.get('theirs')).body).toBe('water')
  })

  it('takes a name that is free because its file is in the trash', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('a', 'sand')
    await ada.put('b', 'water')
    await remove(ada, 'b')
    expect((await rename(ada, 'a', 'b')).status).toBe(200)
  })

  it('answers 404 for a file that is not there, or is another member’s', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('beach.jpg', 'sand')
    expect(await rename(ben, 'beach.jpg', 'mine')).toBeProblem(404, 'file-not-found')
    expect(await rename(ben, 'beach.jpg', 'mine', { 'if-match': '*' })).toBeProblem(404, 'file-not-found')
    expect(await names(ada)).toEqual(['beach.jpg'])
  })

  it.each(['', '.', '..', 'a/b', 'a\\b', 'a\u0000', '€'.repeat(86), '\ud800'])('refuses the name %j', async (name) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    expect(await rename(ada, 'beach.jpg', name)).toBeProblem(400, 'invalid-name')
  })

  it.each([7, null, ['a']])('refuses %j for a name', async (name) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const answer = await rename(ada, 'beach.jpg', name)
    expect(answer).toBeProblem(400, 'invalid-request')
    expect(answer.body).toMatchObject({ errors: [{ path: '/name' }] })
  })

  it.each(PRECONDITIONS)('on %s', async (_what, headers, holds) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const answer = await rename(ada, 'beach.jpg', 'other.jpg', headers)
    if (!holds) expect(answer).toBeProblem(412, 'precondition-failed')
    expect(await names(ada)).toEqual([holds ? 'other.jpg' : 'beach.jpg'])
  })

  it('leaves the numbers of other names alone', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    await ada.put('beach (1).jpg', 'water')
    expect(await rename(ada, 'beach.jpg', 'beach (1).jpg')).toBeProblem(409, 'file-exists')
  })
})

describe('deleting a file', () => {
  it('answers 204, and it is nowhere but in the trash', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')

    const answer = await remove(ada, 'beach.jpg')

    expect([answer.status, answer.bytes.length]).toEqual([204, 0])
    expect(await ada.get('beach.jpg')).toBeProblem(404, 'file-not-found')
    expect([await names(ada), await names(ada, 'trash')]).toEqual([[], ['beach.jpg']])
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('frees its name', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const first = await ada.put('beach.jpg', 'sand')
    await remove(ada, 'beach.jpg')
    const second = await ada.put('beach.jpg', 'sand', { 'if-none-match': '*' })
    expect(second.status).toBe(201)
    expect((second.body as { id: string }).id).not.toBe((first.body as { id: string }).id)
  })

  it('answers 404 for a file that is not there, or is another member’s', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('beach.jpg', 'sand')
    expect(await remove(ben, 'beach.jpg')).toBeProblem(404, 'file-not-found')
    expect((await remove(ada, 'beach.jpg')).status).toBe(204)
    expect(await remove(ada, 'beach.jpg')).toBeProblem(404, 'file-not-found')
    expect(await remove(ada, '..')).toBeProblem(404, 'not-found')
    expect(await remove(ada, 'a/b')).toBeProblem(400, 'invalid-name')
  })

  it.each(PRECONDITIONS)('on %s', async (_what, headers, holds) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const answer = await remove(ada, 'beach.jpg', headers)
    if (!holds) expect(answer).toBeProblem(412, 'precondition-failed')
    expect(await names(ada)).toEqual(holds ? [] : ['beach.jpg'])
  })

  it('takes the content type that many clients send with everything', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    expect((await remove(ada, 'beach.jpg', { 'content-type': 'application/json' })).status).toBe(204)
  })

  it('lets a download that is under way go on', async () => {
    const app = await testApp()
    const ada = await member(app)
    const film = Buffer.alloc(32_000_000, 'film')
    await ada.put('film.mp4', film)
    const line = wire(app.url)
    line.socket.write(head('GET /v1/files/film.mp4', { authorization: `Bearer ${ada.token}`, connection: 'close' }))
    await line.until('\r\n\r\n')
    line.socket.pause()
    await remove(ada, 'film.mp4')
    await ada.request('/v1/trash', { method: 'DELETE' })
    expect(await blobsOnDisk(app)).toEqual([])
    line.socket.resume()
    const answer = await line.ended
    expect(answer.length - answer.indexOf('\r\n\r\n') - 4).toBe(film.length)
  })
})

describe('of several who change one file at once', () => {
  const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort()

  it('exactly one deletes it', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const answers = await Promise.all(Array.from({ length: 8 }, () => remove(ada, 'beach.jpg')))
    expect(statuses(answers)).toEqual([204, ...new Array(7).fill(404)])
    expect(await names(ada, 'trash')).toEqual(['beach.jpg'])
  })

  it('exactly one renames it', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => rename(ada, 'beach.jpg', `renamed ${n}`)))
    expect(statuses(answers)).toEqual([200, ...new Array(7).fill(404)])
    expect(await names(ada)).toEqual([`renamed ${answers.findIndex(({ status }) => status === 200)}`])
  })

  it('exactly one of several files gets a name', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const old = Array.from({ length: 8 }, (_, n) => `old ${n}`)
    await Promise.all(old.map((name) => ada.put(name, name)))
    const answers = await Promise.all(old.map((name) => rename(ada, name, 'new')))
    expect(statuses(answers)).toEqual([200, ...new Array(7).fill(409)])
    expect(await names(ada)).toHaveLength(8)
  })

  it('renaming or deleting wins, not both', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (let n = 0; n < 20; n += 1) {
      await ada.put('old', `bytes ${n}`)
      const acts = [() => rename(ada, 'old', `new ${n}`), () => remove(ada, 'old')]
      if (n % 2 === 1) acts.reverse()
      const answers = await Promise.all(acts.map((act) => act()))
      expect(statuses(answers).at(-1)).toBe(404)
    }
    expect((await names(ada)).length + (await names(ada, 'trash')).length).toBe(20)
  })

  it('renaming and replacing both happen, one after the other', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (let n = 0; n < 20; n += 1) {
      await ada.put('old', 'first')
      const acts = [() => rename(ada, 'old', `new ${n}`), () => ada.put('old', `second ${n}`)]
      if (n % 2 === 1) acts.reverse()
      await Promise.all(acts.map((act) => act()))
      const renamed = (await ada.get(`new ${n}`)).body
      const left = await ada.get('old')
      // Either the first version was renamed and the second is new, or the second was renamed.
      if (left.status === 200) expect([renamed, left.body]).toEqual(['first', `second ${n}`])
      else expect(renamed).toBe(`second ${n}`)
      await remove(ada, 'old')
    }
  })

  it('a precondition that held when it was asked holds when it is done', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const act of [
      (headers: Record<string, string>) => remove(ada, 'beach.jpg', headers),
      (headers: Record<string, string>) => rename(ada, 'beach.jpg', 'sea.jpg', headers),
    ]) {
      await ada.put('beach.jpg', 'sand')
      const { snapshot } = app.ports.files
      app.ports.files.snapshot = async (...args) => {
        const found = await snapshot(...args)
        app.ports.files.snapshot = snapshot
        await ada.put('beach.jpg', 'water')
        return found
      }
      expect(await act({ 'if-match': etag('sand') })).toBeProblem(412, 'precondition-failed')
      expect((await ada.get('beach.jpg')).body).toBe('water')
    }
  })

  it('a file is not deleted under a name that it had before', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('a', 'sand')
    const { snapshot } = app.ports.files
    app.ports.files.snapshot = async (...args) => {
      const found = await snapshot(...args)
      app.ports.files.snapshot = snapshot
      await rename(ada, 'a', 'b')
      return found
    }
    expect(await remove(ada, 'a')).toBeProblem(404, 'file-not-found')
    expect(await names(ada)).toEqual(['b'])
  })
})
