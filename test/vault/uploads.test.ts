/** The rules of uploads that arrive in several requests, without HTTP. */
import { createHash, randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openUploadKey, sealPartKey } from '../../src/vault/crypto/envelope.ts'
import { openKeyring } from '../../src/vault/crypto/keyring.ts'
import { openClaims } from '../../src/vault/uploads/claims.ts'
import type { Append, Finish, NewUpload, Uploads } from '../../src/vault/uploads/uploads.ts'
import { blobsOnDisk, DAY, member, type TestApp, testApp } from '../support/app.ts'
import { databaseOf } from '../support/operator.ts'

const FREE: Finish = { sha256: null, replaced: 'trash', taken: null, guard: () => {}, form: null }

const film = (fields: Partial<NewUpload> = {}): NewUpload => ({
  name: 'film.mp4',
  contentType: null,
  sizeBytes: null,
  onConflict: 'fail',
  protocol: 'ietf',
  terms: '{}',
  ...FREE,
  ...fields,
})

async function* inChunks(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
}

const appending =
  (offset: number, bytes: Buffer, fields: Partial<Append> = {}) =>
  (): Append => ({
    offset,
    bytes: inChunks(bytes),
    announcedBytes: null,
    sizeBytes: null,
    isLast: false,
    isStrict: false,
    check: null,
    algorithm: 'sha256',
    finish: FREE,
    ...fields,
  })

async function vaultOf(settings: Record<string, string> = {}) {
  const app = await testApp(settings)
  const ada = await member(app)
  return { app, ada, owner: ada.userId, uploads: app.vault.uploads }
}

it('is one file whatever its appends are, and its digest is that of the whole', async () => {
  const { ada, owner, uploads } = await vaultOf()
  const bytes = randomBytes(200_000)
  const { id } = await uploads.begin(owner, film())
  for (const [from, to] of [
    [0, 1],
    [1, 70_000],
    [70_000, 200_000],
  ] as const) {
    await uploads.append(owner, id, appending(from, bytes.subarray(from, to), { isLast: to === 200_000 }))
  }
  const found = await ada.get('film.mp4')
  expect(found.bytes.equals(bytes)).toBe(true)
  expect(found.headers.etag).toBe(`"${createHash('sha256').update(bytes).digest('hex')}"`)
})

it('is read back at its end by a process that has not received all of it', async () => {
  const { app, ada, owner, uploads } = await vaultOf()
  const bytes = randomBytes(100_000)
  const { id } = await uploads.begin(owner, film())
  await uploads.append(owner, id, appending(0, bytes.subarray(0, 60_000)))
  await app.settled()
  await app.close()
  const next = await testApp({}, homeOf(app))
  const { placement } = await next.vault.uploads.append(
    owner,
    id,
    appending(60_000, bytes.subarray(60_000), { isLast: true }),
  )
  expect(placement?.file.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
  const headers = { authorization: `Bearer ${ada.token}` }
  expect((await next.request('/v1/files/film.mp4', { headers })).bytes.equals(bytes)).toBe(true)
})

it('expires after its last append, with its bytes', async () => {
  const { app, owner, uploads } = await vaultOf({ UPLOAD_EXPIRY_HOURS: '48' })
  const { id } = await uploads.begin(owner, film())
  app.clock.turn(DAY)
  await uploads.append(owner, id, appending(0, Buffer.from('sea')))
  app.clock.turn(2 * DAY - 1)
  expect(await uploads.list(owner)).toHaveLength(1)
  app.clock.turn(1)
  expect(await uploads.list(owner)).toEqual([])
  await expect(uploads.find(owner, id)).rejects.toMatchObject({ code: 'upload-not-found' })
  app.sweep()
  await app.settled()
  expect(await blobsOnDisk(app)).toEqual([])
  expect((await app.vault.account.describe(owner)).usage.bytes).toBe(0)
})

it('is limited in number', async () => {
  const { app, owner, uploads } = await vaultOf()
  for (let n = 0; n < 1000; n += 1) await uploads.begin(owner, film())
  await expect(uploads.begin(owner, film())).rejects.toMatchObject({ code: 'quota-exceeded' })
  const other = await member(app)
  await expect(uploads.begin(other.userId, film())).resolves.toMatchObject({ offset: 0 })
})

it('has a bounded number of parts', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const { claim } = app.ports.uploads
  app.ports.uploads.claim = async (...given) => {
    const upload = await claim(...given)
    return upload && { ...upload, parts: 20_000 }
  }
  await expect(uploads.append(owner, id, appending(0, Buffer.from('x')))).rejects.toMatchObject({
    code: 'inconsistent-upload-length',
  })
  await expect(uploads.append(owner, id, appending(0, Buffer.alloc(0)))).resolves.toMatchObject({ isWhole: false })
})

it('of tus without a length is complete when a request says so', async () => {
  const { ada, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film({ protocol: 'tus' }))
  await uploads.append(owner, id, appending(0, Buffer.from('sea'), { isLast: null }))
  await uploads.append(owner, id, appending(3, Buffer.alloc(0), { isLast: true }))
  expect((await ada.get('film.mp4')).body).toBe('sea')
})

it('of the draft is complete at its length for a request that says nothing', async () => {
  const { ada, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film({ sizeBytes: 3 }))
  await uploads.append(owner, id, appending(0, Buffer.from('se')))
  await uploads.append(owner, id, appending(2, Buffer.from('a'), { isLast: null }))
  expect((await ada.get('film.mp4')).body).toBe('sea')
})

it('of a removed user is refused', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { create } = app.ports.uploads
  app.ports.uploads.create = async (...given) => {
    await app.vault.account.remove(owner, { address: '', userAgent: '', requestId: '' })
    return create(...given)
  }
  await expect(uploads.begin(owner, film())).rejects.toMatchObject({ code: 'unauthorized' })
})

it('goes to the trash of before for room, as a plain upload does', async () => {
  const { app, ada, owner, uploads } = await vaultOf({ QUOTA_BYTES: '1000', TRASH_DAYS: '1' })
  await ada.put('old', 'x'.repeat(900))
  await ada.request('/v1/files/old', { method: 'DELETE' })
  const { id } = await uploads.begin(owner, film())
  const bytes = Buffer.alloc(500, 'y')
  await expect(uploads.append(owner, id, appending(0, bytes))).rejects.toMatchObject({ code: 'quota-exceeded' })
  app.clock.turn(DAY)
  expect((await uploads.append(owner, id, appending(0, bytes))).upload.offset).toBe(500)
})

it('tells the true offset to an append that was overtaken in another process', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const overtaken = async function* () {
    yield Buffer.from('first')
    const claimed = await app.ports.uploads.claim(owner, id)
    expect(claimed?.offset).toBe(0)
  }
  await expect(uploads.append(owner, id, appending(0, Buffer.alloc(0), { bytes: overtaken() }))).rejects.toMatchObject({
    code: 'upload-in-use',
    headers: { 'upload-offset': '0' },
  })
})

it('is claimed once by a process, and again once another process has claimed it', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const { claim } = app.ports.uploads
  let claims = 0
  app.ports.uploads.claim = (...given) => {
    claims += 1
    return claim(...given)
  }
  for (let n = 0; n < 3; n += 1) await uploads.append(owner, id, appending(n, Buffer.from('x')))
  expect(claims).toBe(1)
  await claim(owner, id)
  await uploads.append(owner, id, appending(3, Buffer.from('x'), { isLast: true }))
  expect(claims).toBe(2)
})

it('is claimed again if many others were used since', async () => {
  const { app, owner, uploads } = await vaultOf()
  const ids: string[] = []
  for (let n = 0; n < 3; n += 1) ids.push((await uploads.begin(owner, film())).id)
  const [first = '', second = '', third = ''] = ids
  const { claim } = app.ports.uploads
  const claims: string[] = []
  app.ports.uploads.claim = (...given) => {
    claims.push(given[1])
    return claim(...given)
  }
  const claimed = openClaims(app, 2)
  for (const id of [first, second, first, third, first, second]) await claimed(owner, id)
  expect(claims).toEqual([first, second, third, second])
})

it('takes one of many appends at the same offset', async () => {
  const { owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const all = Array.from({ length: 8 }, (_, n) => uploads.append(owner, id, appending(0, Buffer.from(String(n)))))
  const outcomes = await Promise.allSettled(all)
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await uploads.find(owner, id)).toMatchObject({ offset: 1, parts: 1 })
})

/** An append that has sent `sea` and does not end. */
async function endless(uploads: Uploads, owner: string, id: string) {
  let arrived = () => {}
  const hasArrived = new Promise<void>((resolve) => {
    arrived = resolve
  })
  async function* bytes() {
    yield Buffer.from('sea')
    arrived()
    await new Promise(() => {})
  }
  const ended = uploads.append(owner, id, appending(0, Buffer.alloc(0), { bytes: bytes() }))
  await hasArrived
  return { ended }
}

it('is not left by a closing vault while it gets bytes', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  async function* bytes() {
    yield Buffer.from('sea')
    await held
  }
  await app.settled()
  const appended = uploads.append(owner, id, appending(0, Buffer.alloc(0), { bytes: bytes() }))
  let isSettled = false
  const settled = app.settled().then(() => {
    isSettled = true
  })
  await turn()
  expect(isSettled).toBe(false)
  goOn()
  await settled
  await expect(appended).resolves.toMatchObject({ upload: { offset: 3 } })
})

it('ends the append that runs when it is removed, and keeps none of its bytes', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const { ended } = await endless(uploads, owner, id)
  const refused = expect(ended).rejects.toMatchObject({ code: 'upload-in-use' })
  await uploads.remove(owner, id)
  await refused
  await app.settled()
  expect(await blobsOnDisk(app)).toEqual([])
})

it('takes no append that waits when its client asks how far it came', async () => {
  const { owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const first = await endless(uploads, owner, id)
  const second = uploads.append(owner, id, appending(3, Buffer.from('shore')))
  const asked = uploads.find(owner, id)
  const outcomes = await Promise.allSettled([first.ended, second])
  expect(outcomes).toMatchObject([{ reason: { code: 'upload-in-use' } }, { reason: { code: 'upload-in-use' } }])
  expect([(await asked).offset, (await uploads.find(owner, id)).offset]).toEqual([3, 3])
})

it('goes on with the last of several appends that wait', async () => {
  const { owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const first = await endless(uploads, owner, id)
  const later = ['horse', 'shore'].map((text) => uploads.append(owner, id, appending(3, Buffer.from(text))))
  const outcomes = await Promise.allSettled([first.ended, ...later])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  expect((await uploads.find(owner, id)).offset).toBe(8)
})

it('is the file of the process that completed it first', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film({ onConflict: 'replace' }))
  const { commit } = app.ports.files
  app.ports.files.commit = async (...given) => {
    app.ports.files.commit = commit
    await commit(...given)
    return 'upload-gone'
  }
  const { upload, placement } = await uploads.append(owner, id, appending(0, Buffer.from('sea'), { isLast: true }))
  expect([upload.fileName, placement]).toEqual(['film.mp4', null])
})

it('stores nothing under a run that has ended, also without bytes', async () => {
  const { app, owner, uploads } = await vaultOf()
  for (const bytes of ['sea', '']) {
    const { id } = await uploads.begin(owner, film())
    const { append } = app.ports.uploads
    app.ports.uploads.append = async () => 'run-ended'
    const ended = uploads.append(owner, id, appending(0, Buffer.from(bytes), { isLast: true }))
    await expect(ended).rejects.toMatchObject({ code: 'not-ready' })
    app.ports.uploads.append = append
  }
  await app.settled()
  expect(await blobsOnDisk(app)).toEqual([])
})

it('without bytes is refused where it was overtaken', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  app.ports.uploads.append = async () => 'stale'
  const empty = uploads.append(owner, id, appending(0, Buffer.alloc(0), { isLast: true }))
  await expect(empty).rejects.toMatchObject({ code: 'upload-in-use' })
  const length = uploads.append(owner, id, appending(0, Buffer.alloc(0), { sizeBytes: 5 }))
  await expect(length).rejects.toMatchObject({ code: 'upload-in-use' })
})

it('of a wrong length stays, or is gone if the client asked for that', async () => {
  const { owner, uploads } = await vaultOf({ MAX_FILE_BYTES: '10' })
  const wrong = { code: 'inconsistent-upload-length' }
  const { id } = await uploads.begin(owner, film({ sizeBytes: 5 }))
  await expect(uploads.append(owner, id, appending(0, Buffer.alloc(6)))).rejects.toMatchObject(wrong)
  await expect(uploads.append(owner, id, appending(0, Buffer.alloc(4), { sizeBytes: 4 }))).rejects.toMatchObject(wrong)
  await expect(uploads.append(owner, id, appending(0, Buffer.alloc(4), { isLast: true }))).rejects.toMatchObject(wrong)
  expect(await uploads.find(owner, id)).toMatchObject({ offset: 4 })
  const strict = appending(4, Buffer.alloc(2), { isStrict: true })
  await expect(uploads.append(owner, id, strict)).rejects.toMatchObject(wrong)
  await expect(uploads.find(owner, id)).rejects.toMatchObject({ code: 'upload-not-found' })

  const open = await uploads.begin(owner, film())
  const large = uploads.append(owner, open.id, appending(0, Buffer.alloc(11)))
  await expect(large).rejects.toMatchObject({ code: 'file-too-large' })
  const announced = uploads.append(owner, open.id, appending(0, Buffer.alloc(0), { announcedBytes: 11 }))
  await expect(announced).rejects.toMatchObject({ code: 'file-too-large' })
  await expect(uploads.begin(owner, film({ sizeBytes: 11 }))).rejects.toMatchObject({ code: 'file-too-large' })
})

it('ends the reading of bytes that are more than its length', async () => {
  const { owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film({ sizeBytes: 3 }))
  let isReading = true
  async function* bytes() {
    try {
      for (;;) yield Buffer.from('sea')
    } finally {
      isReading = false
    }
  }
  const tooMany = uploads.append(owner, id, appending(0, Buffer.alloc(0), { bytes: bytes() }))
  await expect(tooMany).rejects.toMatchObject({ code: 'inconsistent-upload-length' })
  expect(isReading).toBe(false)
})

it('whose digest of the whole is wrong is gone', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  const finish = { ...FREE, sha256: '0'.repeat(64) }
  const last = uploads.append(owner, id, appending(0, Buffer.from('sea'), { isLast: true, finish }))
  await expect(last).rejects.toMatchObject({ code: 'digest-mismatch' })
  await app.settled()
  expect(await blobsOnDisk(app)).toEqual([])
})

it('is made of others, in their order, which are gone then', async () => {
  const { ada, owner, uploads } = await vaultOf()
  const pieces: string[] = []
  for (const text of ['one, ', '', 'two, ', 'three']) {
    const { id } = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes: text.length }))
    await uploads.append(owner, id, appending(0, Buffer.from(text)))
    pieces.push(id)
  }
  const whole = film({ protocol: 'tus' })
  const [first = ''] = pieces
  await expect(uploads.concatenate(owner, whole, [first, first])).rejects.toMatchObject({ code: 'upload-in-use' })
  const half = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes: 7 }))
  const unfinished = uploads.concatenate(owner, whole, [first, half.id])
  await expect(unfinished).rejects.toMatchObject({ code: 'inconsistent-upload-length' })
  await uploads.remove(owner, half.id)
  await uploads.concatenate(owner, whole, pieces)
  expect((await ada.get('film.mp4')).body).toBe('one, two, three')
  expect(await uploads.list(owner)).toEqual([])
})

it('is made of others once, however many ask for it at the same time', async () => {
  const { app, ada, owner, uploads } = await vaultOf({ QUOTA_BYTES: '6' })
  const pieces: string[] = []
  for (const text of ['sea', 'sun']) {
    const { id } = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes: text.length }))
    await uploads.append(owner, id, appending(0, Buffer.from(text)))
    pieces.push(id)
  }
  // The second one stores its bytes once the first one is a file.
  const film2 = film({ name: 'film2.mp4', protocol: 'tus' })
  const { append } = app.ports.uploads
  let first: Promise<unknown> | null = null
  app.ports.uploads.append = async (...given) => {
    if (!first) {
      first = uploads.concatenate(owner, film({ protocol: 'tus' }), pieces)
      await first
    }
    return append(...given)
  }
  await expect(uploads.concatenate(owner, film2, pieces)).rejects.toMatchObject({ code: 'upload-in-use' })
  await first
  expect([(await ada.get('film.mp4')).body, (await ada.get('film2.mp4')).status]).toEqual(['seasun', 404])
  await app.settled()
  expect([await uploads.list(owner), await blobsOnDisk(app)]).toEqual([[], [expect.anything()]])
})

it('leaves tiny others as they were where they cannot be stored together', async () => {
  const { app, ada, owner, uploads } = await vaultOf()
  const pieces: string[] = []
  for (const text of ['sea', 'shore']) {
    const { id } = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes: text.length }))
    await uploads.append(owner, id, appending(0, Buffer.from(text)))
    pieces.push(id)
  }
  const { put } = app.ports.blobs
  app.ports.blobs.put = () => Promise.reject(Object.assign(new Error('no room'), { code: 'ENOSPC' }))
  await expect(uploads.concatenate(owner, film({ protocol: 'tus' }), pieces)).rejects.toThrow()
  app.ports.blobs.put = put
  expect((await uploads.list(owner)).map(({ id }) => id).sort()).toEqual(pieces.toSorted())
  await uploads.concatenate(owner, film({ protocol: 'tus' }), pieces)
  expect((await ada.get('film.mp4')).body).toBe('seashore')
})

it('is not made of others that are too large together', async () => {
  const { owner, uploads } = await vaultOf({ MAX_FILE_BYTES: '10' })
  const pieces: string[] = []
  for (const text of ['123456', '78901']) {
    const { id } = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes: text.length }))
    await uploads.append(owner, id, appending(0, Buffer.from(text)))
    pieces.push(id)
  }
  const whole = uploads.concatenate(owner, film({ protocol: 'tus' }), pieces)
  await expect(whole).rejects.toMatchObject({ code: 'file-too-large' })
  expect((await uploads.list(owner)).map(({ id }) => id).sort()).toEqual(pieces.sort())
})

it('is not made of others that changed meanwhile', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes: 3 }))
  await uploads.append(owner, id, appending(0, Buffer.from('sea')))
  const { concatenate } = app.ports.uploads
  app.ports.uploads.concatenate = async () => 'stale'
  const whole = film({ protocol: 'tus' })
  await expect(uploads.concatenate(owner, whole, [id])).rejects.toMatchObject({ code: 'upload-in-use' })
  app.ports.uploads.concatenate = concatenate
  expect(await uploads.list(owner)).toMatchObject([{ id }])
  await expect(uploads.remove(owner, 'none')).rejects.toMatchObject({ code: 'upload-not-found' })
})

it('is not made of others that have too many parts together', async () => {
  const { app, owner, uploads } = await vaultOf()
  const sizeBytes = 5001
  const piece = await uploads.begin(owner, film({ name: null, protocol: 'tus', sizeBytes }))
  const { masterKeys, keySlots, chance } = app.ports
  const vaultKey = await openKeyring({ ports: { masterKeys, keySlots, chance } }).vaultKey(owner)
  const fileKey = openUploadKey(vaultKey, owner, piece)
  const db = databaseOf(app)
  db.transaction(() => {
    const add = db.prepare('INSERT INTO parts (version, start, size, blob, seal) VALUES (?, ?, 1, ?, ?)')
    for (let start = 0; start < sizeBytes; start += 1) {
      const seal = sealPartKey(fileKey, chance.bytes(12), { start, sizeBytes: 1 }, chance.bytes(32))
      add.run(piece.id, start, `run/${start}`, seal)
    }
    db.prepare('UPDATE uploads SET received = size, parts = size WHERE id = ?').run(piece.id)
  })()
  const whole = uploads.concatenate(owner, film({ protocol: 'tus' }), [piece.id])
  await expect(whole).rejects.toMatchObject({
    code: 'inconsistent-upload-length',
    message: expect.stringContaining('5000'),
  })
  expect(await uploads.list(owner)).toMatchObject([{ id: piece.id }])
})

it('whose bytes are gone from the disk is refused at its end', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  await uploads.append(owner, id, appending(0, Buffer.from('sea')))
  await app.settled()
  await app.close()
  const next = await testApp({}, homeOf(app))
  const [part] = await next.ports.files.parts(id, 0, 1)
  await next.ports.blobs.delete([part?.blob ?? ''])
  const last = next.vault.uploads.append(owner, id, appending(3, Buffer.alloc(0), { isLast: true }))
  await expect(last).rejects.toMatchObject({ code: 'internal-error' })
})

it('is as it was on a full disk, where nothing can be claimed', async () => {
  const { app, owner, uploads } = await vaultOf()
  const { id } = await uploads.begin(owner, film())
  app.ports.uploads.claim = async () => {
    throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
  }
  expect(await uploads.find(owner, id)).toMatchObject({ id, offset: 0 })
  app.ports.uploads.claim = async () => {
    throw new Error('the disk is broken')
  }
  await expect(uploads.find(owner, id)).rejects.toThrow('the disk is broken')
})

const homeOf = (app: TestApp) => app.config.DATA_DIR.replace(/\/[^/]+$/, '')
