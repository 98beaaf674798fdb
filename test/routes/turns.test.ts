/** Requests with much work, at the same time: an iteration of the event loop has one piece of it. */
import { describe, expect, it } from 'vitest'
import { form, member, type TestApp, testApp } from '../support/app.ts'
import type { Call } from '../support/http.ts'
import { iteration } from '../support/iteration.ts'
import { head, type Wire, wire } from '../support/wire.ts'

/** A server with a SQLite file, that notes the iteration of each piece. */
async function noted(settings: Record<string, string> = {}) {
  const app = await testApp(settings)
  const pieces: number[] = []
  const { files, trash, changes, activity, sessions, uploads } = app.ports
  const note = <Given extends unknown[], Answer>(read: (...given: Given) => Answer) => {
    return (...given: Given) => {
      pieces.push(iteration())
      return read(...given)
    }
  }
  const { countByMonth } = files
  // One file in a piece, so that three files have four pieces.
  files.countByMonth = note((owner, after) => countByMonth(owner, after, { files: 1, months: 1 }))
  files.list = note(files.list)
  files.scan = note(files.scan)
  files.withTags = note(files.withTags)
  files.withIds = note(files.withIds)
  trash.list = note(trash.list)
  changes.page = note(changes.page)
  activity.list = note(activity.list)
  sessions.list = note(sessions.list)
  uploads.list = note(uploads.list)
  const ada = await member(app)
  for (const month of ['2026-03', '2026-02', '2025-12'])
    await ada.request(`/v1/files/${month}?takenAt=${month}-01T12:00:00Z`, { method: 'PUT', body: month })
  pieces.length = 0
  return { app, ada, pieces }
}

const REQUESTS: [path: string, options?: Call][] = [
  ['/v1/files?limit=1'],
  ['/v1/files?prefix=2026&sort=size'],
  ['/v1/trash?limit=1'],
  ['/v1/changes?limit=1'],
  ['/v1/activity?limit=1'],
  ['/v1/sessions'],
  [
    '/v1/files/lookup',
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: `{"sha256":["${'a'.repeat(64)}"]}` },
  ],
]

it('runs one piece of 96 timelines of one user in an iteration, and as many timelines at once as long pages', async () => {
  const { app, ada, pieces } = await noted()
  const { countByMonth } = app.ports.files
  let [running, most] = [0, 0]
  app.ports.files.countByMonth = async (owner, after, size) => {
    if (after === null) running += 1
    most = Math.max(most, running)
    const piece = await countByMonth(owner, after, size)
    if (piece.last === null) running -= 1
    return piece
  }
  const answers = await Promise.all(Array.from({ length: 96 }, () => ada.request('/v1/timeline')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(pieces).toHaveLength(4 * 96)
  expect(new Set(pieces).size).toBe(4 * 96)
  expect(most).toBeLessThanOrEqual(16)
})

it('reads the parts of one upload of all concatenations in an iteration', async () => {
  const { app, ada } = await noted()
  const tus = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }
  const partial = {
    method: 'POST',
    headers: { ...tus, 'upload-length': '4', 'upload-concat': 'partial' },
    body: 'part',
  }
  const urls = []
  for (let n = 0; n < 4; n += 1) urls.push((await ada.request('/v1/uploads', partial)).headers.location)
  const { parts } = app.ports.files
  const read: number[] = []
  app.ports.files.parts = async (...given) => {
    read.push(iteration())
    return parts(...given)
  }
  const name = Buffer.from('film').toString('base64')
  const whole = {
    method: 'POST',
    // The last one does not exist. So nothing changes, and a client can repeat it.
    headers: {
      ...tus,
      'upload-concat': `final;${urls.join(' ')} /v1/uploads/none`,
      'upload-metadata': `filename ${name}`,
    },
  }
  const answers = await Promise.all(Array.from({ length: 8 }, () => ada.request('/v1/uploads', whole)))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
  expect(read).toHaveLength(4 * 8)
  expect(new Set(read).size).toBe(4 * 8)
})

it('removes one batch of all requests that empty the trash in an iteration', async () => {
  const { app, ada } = await noted()
  const { trash, ledger } = app.ports
  const { empty } = trash
  const { garbage } = ledger
  const [removed, collected]: [number[], number[]] = [[], []]
  trash.empty = (...given) => {
    removed.push(iteration())
    return empty(...given)
  }
  ledger.garbage = (limit, versions) => {
    collected.push(iteration())
    return garbage(limit, versions)
  }
  for (let n = 0; n < 60; n += 1) {
    await ada.put(`${n}`, `${n}`)
    await ada.request(`/v1/files/${n}`, { method: 'DELETE' })
  }
  const answers = await Promise.all(Array.from({ length: 32 }, () => ada.request('/v1/trash', { method: 'DELETE' })))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]))
  expect(removed.length).toBeGreaterThanOrEqual(32)
  expect(new Set(removed).size).toBe(removed.length)
  expect(collected.length).toBeGreaterThanOrEqual(3)
  expect(new Set([...removed, ...collected]).size).toBe(removed.length + collected.length)
})

it('deletes the blobs of one file of all purges in an iteration', async () => {
  const { app, ada } = await noted()
  const { ledger } = app.ports
  const { garbage } = ledger
  const collected: number[] = []
  ledger.garbage = (limit, versions) => {
    collected.push(iteration())
    return garbage(limit, versions)
  }
  for (let n = 0; n < 16; n += 1) {
    await ada.put(`${n}`, `${n}`)
    await ada.request(`/v1/files/${n}`, { method: 'DELETE' })
  }
  const { files } = (await ada.request('/v1/trash')).body as { files: { id: string }[] }
  const answers = await Promise.all(files.map(({ id }) => ada.request(`/v1/trash/${id}`, { method: 'DELETE' })))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]))
  expect(collected).toHaveLength(16)
  expect(new Set(collected).size).toBe(16)
})

it('runs one piece of all lists and look-ups in an iteration', async () => {
  const { app, ada, pieces } = await noted()
  const requests = new Array(8).fill(REQUESTS).flat() as typeof REQUESTS
  // Each needs the key of the vault before its first piece. All get it at once.
  const { find } = app.ports.keySlots
  let left = requests.length
  let release = () => {}
  const all = new Promise<void>((resolve) => {
    release = resolve
  })
  app.ports.keySlots.find = async (owner) => {
    const slots = await find(owner)
    left -= 1
    if (left === 0) release()
    await all
    return slots
  }
  const answers = await Promise.all(requests.map(([path, options]) => ada.request(path, options)))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(pieces.length).toBeGreaterThanOrEqual(requests.length)
  expect(new Set(pieces).size).toBe(pieces.length)
})

it('lets the list of a user wait for one piece of another network, however many users are there', async () => {
  const app = await testApp({ RATE_LIMIT: 'off' })
  const crowd = []
  for (let n = 0; n < 8; n += 1) crowd.push(await member(app))
  const ben = await member(app)
  const { find } = app.ports.keySlots
  const { list } = app.ports.files
  const [asked, listed]: [string[], string[]] = [[], []]
  let release = () => {}
  const all = new Promise<void>((resolve) => {
    release = resolve
  })
  app.ports.keySlots.find = async (owner) => {
    const slots = await find(owner)
    asked.push(owner)
    await all
    return slots
  }
  app.ports.files.list = (owner, query) => {
    listed.push(owner)
    return list(owner, query)
  }
  const answers = crowd.map((user) => user.request('/v1/files'))
  await expect.poll(() => asked.length).toBe(8)
  answers.push(ben.request('/v1/files', { from: '127.0.0.2' }))
  await expect.poll(() => asked.length).toBe(9)
  release()
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(new Array(9).fill(200))
  expect(listed.indexOf(asked.at(-1) ?? '')).toBe(1)
})

it('chooses the files of one zip in an iteration', async () => {
  const { app, ada, pieces } = await noted({ RATE_LIMIT: 'off' })
  const { files } = (await ada.request('/v1/files')).body as { files: { id: string }[] }
  pieces.length = 0
  const path = `/v1/me/export?ids=${files.map(({ id }) => id).join()}`
  const heads = Array.from({ length: 32 }, () => {
    const line = wire(app.url)
    line.socket.write(head(`HEAD ${path}`, { authorization: `Bearer ${ada.token}`, connection: 'close' }))
    return line.ended
  })
  for (const answer of await Promise.all(heads)) expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(new Set(pieces).size).toBe(32)
})

it('searches a free name for one of all forms in an iteration', async () => {
  const { app, ada, pieces } = await noted()
  await ada.put('photo', 'mine')
  // Their bytes are stored at the same moment.
  const { put } = app.ports.blobs
  let left = 16
  let release = () => {}
  const all = new Promise<void>((resolve) => {
    release = resolve
  })
  app.ports.blobs.put = async (...given) => {
    await put(...given)
    left -= 1
    if (left === 0) release()
    await all
  }
  const { tagged, taken } = app.ports.files
  app.ports.files.tagged = (...given) => {
    pieces.push(iteration())
    return tagged(...given)
  }
  // One search has several steps.
  const searches = new Set<number>()
  app.ports.files.taken = (...given) => {
    searches.add(iteration())
    return taken(...given)
  }
  const answers = await Promise.all(
    Array.from({ length: 16 }, (_, n) =>
      ada.request('/v1/files?onConflict=rename', {
        method: 'POST',
        ...form([{ name: 'file', filename: 'photo', content: `${n}` }]),
      }),
    ),
  )
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  expect(pieces.length).toBeGreaterThanOrEqual(16)
  expect(new Set(pieces).size).toBe(pieces.length)
  expect(searches.size).toBeGreaterThanOrEqual(16)
})

it('runs few of the requests whose bodies end at the same moment in an iteration', async () => {
  const { app, ada } = await noted()
  const edits = new Map<number, number>()
  const { edit } = app.ports.files
  app.ports.files.edit = (...given) => {
    edits.set(iteration(), (edits.get(iteration()) ?? 0) + 1)
    return edit(...given)
  }
  const body = '{"takenAt":"2026-03-02T12:00:00Z"}'
  const fields = {
    authorization: `Bearer ${ada.token}`,
    connection: 'close',
    'content-type': 'application/json',
    'content-length': body.length,
  }
  const lines = Array.from({ length: 48 }, () => wire(app.url))
  for (const { socket } of lines) socket.write(head('PATCH /v1/files/2026-03', fields) + body.slice(0, -1))
  const reading = () => app.connections.filter(({ bytesRead, destroyed }) => bytesRead > 0 && !destroyed).length
  await expect.poll(reading).toBe(48)
  for (const { socket } of lines) socket.write('}')
  for (const { ended } of lines) expect(await ended).toMatch(/^HTTP\/1\.1 200 /)
  expect([...edits.values()].reduce((sum, count) => sum + count)).toBe(48)
  // Eight that waited, and eight that came once nothing waited any more.
  expect(Math.max(...edits.values())).toBeLessThanOrEqual(16)
})

it('runs one list of uploads in an iteration, and as many at once as long pages', async () => {
  const { app, ada, pieces } = await noted()
  const { list } = app.ports.uploads
  let [running, most] = [0, 0]
  app.ports.uploads.list = async (owner) => {
    running += 1
    most = Math.max(most, running)
    const found = await list(owner)
    running -= 1
    return found
  }
  const answers = await Promise.all(Array.from({ length: 96 }, () => ada.request('/v1/uploads')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(new Set(pieces).size).toBe(96)
  expect(most).toBeLessThanOrEqual(16)
})

it('notes few of the sessions that a request ends in an iteration', async () => {
  const app = await testApp()
  const ada = await member(app)
  const [kept] = await app.ports.sessions.list(ada.userId)
  if (!kept) throw new Error('no session')
  app.ports.sessions.endOthers = async () => Array.from({ length: 200 }, (_, n) => ({ ...kept, id: `other-${n}` }))
  const { note } = app.ports.activity
  const noted = new Map<number, number>()
  app.ports.activity.note = (owner, event, keep) => {
    if (event.kind === 'session-revoked') noted.set(iteration(), (noted.get(iteration()) ?? 0) + 1)
    return note(owner, event, keep)
  }
  expect((await ada.request('/v1/sessions', { method: 'DELETE' })).status).toBe(204)
  // The turn after the first ones can come in the same iteration.
  expect(Math.max(...noted.values())).toBeLessThanOrEqual(50)
  expect([...noted.values()].reduce((sum, count) => sum + count, 0)).toBe(200)
})

it('runs hardly a piece in iterations that accept a crowd of connections', async () => {
  const { app, ada, pieces } = await noted()
  const { countByMonth } = app.ports.files
  const accepted = new Set<number>()
  const lines: Wire[] = []
  app.ports.files.countByMonth = (...question) => {
    if (lines.length === 0) {
      app.server.on('connection', () => accepted.add(iteration()))
      lines.push(...Array.from({ length: 30 }, () => wire(app.url)))
    }
    return countByMonth(...question)
  }
  const answers = await Promise.all(Array.from({ length: 96 }, () => ada.request('/v1/timeline')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(accepted.size).toBeGreaterThan(20)
  // Before the eighth, and one in 65.
  expect(pieces.filter((piece) => accepted.has(piece)).length).toBeLessThan(10)
  for (const { socket } of lines) socket.destroy()
})

describe('16 uploads at once', () => {
  async function uploads(onPiece: (app: TestApp) => void, bytes = Buffer.alloc(3 * 1024 * 1024 + 10)) {
    const app = await testApp()
    const ada = await member(app)
    const pieces: number[] = []
    const { put } = app.ports.blobs
    app.ports.blobs.put = (blob, batches, signal) => {
      async function* noted() {
        for await (const batch of batches) {
          // A piece of ten bytes, the last of 3 MiB and ten bytes, waits for no turn.
          if (batch.reduce((sum, { length }) => sum + length, 0) > 1000) {
            pieces.push(iteration())
            onPiece(app)
          }
          yield batch
        }
      }
      return put(blob, noted(), signal)
    }
    const answers = await Promise.all(Array.from({ length: 16 }, (_, n) => ada.put(`${n}`, bytes)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
    return pieces
  }

  it('have few pieces sealed in an iteration', async () => {
    for (const bytes of [3 * 1024 * 1024 + 10, 256 * 1024]) {
      const counts = new Map<number, number>()
      for (const piece of await uploads(() => {}, Buffer.alloc(bytes))) counts.set(piece, (counts.get(piece) ?? 0) + 1)
      expect([...counts.values()].reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(16)
      expect(Math.max(...counts.values())).toBeLessThanOrEqual(4)
    }
  })

  it('have hardly one sealed in iterations that accept a crowd of connections', async () => {
    const accepted: number[] = []
    const lines: Wire[] = []
    const pieces = await uploads((app) => {
      if (lines.length > 0) return
      app.server.on('connection', () => accepted.push(iteration()))
      lines.push(...Array.from({ length: 60 }, () => wire(app.url)))
    })
    const crowded = new Set(accepted.slice(10))
    expect(crowded.size).toBeGreaterThan(20)
    // One iteration in 65 seals some.
    expect(pieces.filter((piece) => crowded.has(piece)).length).toBeLessThan(10)
    for (const { socket } of lines) socket.destroy()
  })
})

it('writes few small uploads to a store on another machine in an iteration', async () => {
  const { app, ada } = await noted()
  Object.assign(app.ports.blobs, { opensAhead: 4 })
  const { put } = app.ports.blobs
  const counts = new Map<number, number>()
  app.ports.blobs.put = (blob, batches, signal) => {
    async function* counted() {
      for await (const batch of batches) {
        counts.set(iteration(), (counts.get(iteration()) ?? 0) + 1)
        yield batch
      }
    }
    return put(blob, counted(), signal)
  }
  const fields = { authorization: `Bearer ${ada.token}`, connection: 'close', 'content-length': 2 }
  const lines = Array.from({ length: 24 }, (_, n) => {
    const line = wire(app.url)
    line.socket.write(`${head(`PUT /v1/files/${n}`, fields)}a`)
    return line
  })
  const reading = () => app.connections.filter(({ destroyed, bytesRead }) => !destroyed && bytesRead > 0).length
  await expect.poll(reading).toBe(24)
  // All bodies end at the same moment.
  for (const { socket } of lines) socket.write('b')
  for (const { ended } of lines) expect(await ended).toMatch(/^HTTP\/1\.1 201 /)
  expect([...counts.values()].reduce((sum, count) => sum + count)).toBe(24)
  expect(Math.max(...counts.values())).toBeLessThanOrEqual(4)
})

it('sends each half MiB of a download in a turn of its user', async () => {
  const { app, ada } = await noted()
  await ada.put('film', Buffer.alloc(2 * 1024 * 1024))
  const { sendingTurn } = app.vault
  const turns: string[] = []
  app.vault.sendingTurn = (owner) => {
    turns.push(owner)
    return sendingTurn(owner)
  }
  expect((await ada.get('film')).bytes).toHaveLength(2 * 1024 * 1024)
  expect(turns).toEqual(new Array(4).fill(ada.userId))
})

it('opens few blobs of all downloads in an iteration, where a store is asked for them', async () => {
  const { app, ada } = await noted()
  await ada.put('film', 'sea')
  const opened: number[] = []
  const { open } = app.ports.blobs
  Object.assign(app.ports.blobs, {
    opensAhead: 4,
    open: (...given: Parameters<typeof open>) => {
      opened.push(iteration())
      return open(...given)
    },
  })
  const answers = await Promise.all(Array.from({ length: 64 }, () => ada.get('film')))
  expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(['sea']))
  expect(opened).toHaveLength(64)
  const together = opened.map((one) => opened.filter((other) => other === one).length)
  expect(Math.max(...together)).toBeLessThanOrEqual(4)
})
