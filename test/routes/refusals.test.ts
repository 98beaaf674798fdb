/**
 * Each refusal that the document has for an operation can occur there. That no other occurs is for the fuzzer to see, which
 * holds every response to the document.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, type TestContext } from 'vitest'
import { codesOf, documentOf, type OpenApi, type Operation } from '../fuzz/document.ts'
import {
  form,
  type Member,
  member,
  newDeviceId,
  paired,
  pinFrom,
  type TestApp,
  temporaryFolder,
  testApp,
} from '../support/app.ts'
import { smallDisk } from '../support/disk.ts'
import { wire } from '../support/wire.ts'

interface Sent {
  method: string
  path: string
  headers: Record<string, string | undefined>
  body: string
}

/** A valid request for the operation, changed so that it is refused; or the bytes that are sent instead. */
type Way = (sent: Sent, operation: Operation) => Partial<Sent> | string

/** A cursor of the changes feed from before a backup was restored. */
const OTHER_HISTORY = Buffer.from(JSON.stringify(['changes', 'other', '', 0, 0, 0])).toString('base64url')

const MOST_BYTES = 1000

const json = (body: unknown) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const digest =
  (value: string): Way =>
  (_sent, { id }) => ({ headers: { [id === 'appendUpload' ? 'content-digest' : 'repr-digest']: value } })
const named =
  (name: string): Way =>
  ({ path }, { id }) => {
    if (id === 'createUpload') return disposition(name)
    if (id === 'appendUpload') {
      const head = `Content-Disposition: form-data; name="file"; filename="${name}"`
      return { path: '/v1/uploads/MISNAMED', body: `--form\r\n${head}\r\n\r\nx\r\n--form--\r\n` }
    }
    return id === 'uploadForm' ? upload(name) : { path: path.replace('beach.jpg', encodeURIComponent(name)) }
  }

const disposition = (name: string) => ({ headers: { 'content-disposition': `attachment; filename="${name}"` } })
const tus = { 'tus-resumable': '1.0.0' }
const metadata = { 'upload-metadata': `filename ${Buffer.from('tus.jpg').toString('base64')}` }

function upload(filename: string, content = 'sand', name = 'file') {
  const { headers, body } = form([{ name, filename, content }])
  return { headers, body: String(body) }
}

/** In the first parameter of the query that has a choice or a range, or in the body. */
const invalid: Way = ({ path }, { id, body, parameters }) => {
  if (id === 'putThumbnail') return { body: '' }
  if (id === 'exportMe' || id === 'headExportMe') return { path: `${path}?ids=` }
  if (id === 'getThumbnail' || id === 'headThumbnail') return { path: `${path}?v=a&v=b` }
  if (id === 'appendUpload' || id === 'createUpload') return { headers: { 'upload-complete': 'yes' } }
  if (body?.mediaType === 'application/json') return { body: '{}' }
  const choice = parameters.find(({ in: place, schema }) => place === 'query' && (schema.enum || schema.minimum))
  return { path: `${path}?${choice?.name}=x` }
}

const taken: Way = (_sent, { id }) => {
  if (id === 'uploadForm') return upload('beach.jpg', 'other')
  if (id === 'createUpload') return disposition('beach.jpg')
  if (id === 'uploadOffset') return { path: '/v1/uploads/REFUSED', headers: tus }
  return id === 'renameFile' ? json({ name: 'taken.jpg' }) : {}
}

/** What a request is refused for by itself, in a vault that has `beach.jpg` and `taken.jpg`, and another one in the trash. */
const OF_THE_REQUEST: Record<string, Way> = {
  'malformed-http': ({ method, path }) => `${method} ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`,
  'malformed-url': ({ path }) => ({ path: `${path}#` }),
  'incomplete-body': ({ method, path }) => `${method} ${path} HTTP/1.1\r\nHost: a`,
  'headers-too-large': () => ({ headers: { 'x-large': 'x'.repeat(20_000) } }),
  'unsupported-transfer-coding': () => ({ headers: { 'transfer-encoding': 'gzip, chunked' }, body: '0\r\n\r\n' }),
  unauthorized: () => ({ headers: { authorization: undefined } }),
  'cross-site-request': ({ body }, { id }) =>
    id === 'signIn'
      ? json({ ...JSON.parse(body), cookie: true })
      : {
          headers: {
            ...{ authorization: undefined, cookie: 'minikeepsafe=x', 'sec-fetch-site': 'cross-site' },
            ...(id === 'register' && { 'content-type': 'text/plain' }),
          },
        },
  'unsupported-encoding': ({ body }) => ({ headers: { 'content-encoding': 'gzip' }, body: body || 'x' }),
  'unsupported-media-type': () => ({ headers: { 'content-type': 'text/html' }, body: '<p>' }),
  'malformed-json': () => ({ headers: { 'content-type': 'application/json' }, body: '{' }),
  'body-too-large': (_sent, { id }) =>
    id === 'putThumbnail' ? { body: 'x'.repeat(300_000) } : json('x'.repeat(id === 'lookUpFiles' ? 140_000 : 20_000)),
  'malformed-multipart': (_sent, { id }) =>
    id === 'appendUpload' ? { path: '/v1/uploads/MALFORMED', body: 'no form' } : upload('beach.jpg', 'sand', 'photo'),
  'final-upload': () => ({
    path: '/v1/uploads/FINAL',
    headers: { ...tus, 'upload-offset': '1', 'content-type': 'application/offset+octet-stream' },
    body: '',
  }),
  'invalid-request': invalid,
  'invalid-name': named('a/b'),
  'invalid-cursor': ({ path }) => ({ path: `${path}?cursor=x` }),
  'cursor-expired': ({ path }) => ({ path: `${path}?cursor=${OTHER_HISTORY}` }),
  'invalid-digest': digest('sha-256=x'),
  'digest-mismatch': digest(`sha-256=:${Buffer.alloc(32).toString('base64')}:`),
  'range-not-allowed': () => ({ headers: { 'content-range': 'bytes 0-1/2' } }),
  'range-not-satisfiable': () => ({ headers: { range: 'bytes=999-' } }),
  'invalid-pin': () => ({}),
  'email-taken': () => ({}),
  'file-not-found': ({ path }, { id }) => ({
    path: /exportMe/i.test(id) ? `${path}?ids=none` : path.replace(/beach\.jpg|(?<=trash\/)[^/]+/, 'none'),
  }),
  'thumbnail-not-found': ({ path }) => ({ path: path.replace('beach.jpg', 'taken.jpg') }),
  'session-not-found': ({ path }) => ({ path: path.replace('current', 'none') }),
  'file-exists': taken,
  'precondition-failed': (_sent, { id }) => ({
    headers: /(append|cancel)Upload|uploadOffset/.test(id) ? { 'tus-resumable': '0.2.2' } : { 'if-match': '"other"' },
  }),
  'file-too-large': (_sent, { id }) =>
    id !== 'uploadForm' ? { body: 'x'.repeat(MOST_BYTES + 1) } : upload('large', 'x'.repeat(MOST_BYTES + 1)),
  'quota-exceeded': (_sent, { id }) =>
    id === 'putFile'
      ? { path: '/v1/files/new', body: 'x'.repeat(MOST_BYTES) }
      : id === 'uploadForm'
        ? upload('new', 'x'.repeat(MOST_BYTES))
        : { body: 'x'.repeat(MOST_BYTES) },
  'upload-not-found': ({ path }, { id }) =>
    id === 'createUpload'
      ? { headers: { ...tus, ...metadata, 'upload-concat': 'final;/v1/uploads/none' }, body: '' }
      : { path: path.replace(/[^/]+$/, 'none') },
  'mismatching-upload-offset': () => ({ headers: { 'upload-offset': '7' } }),
  'inconsistent-upload-length': (_sent, { id }) => ({
    headers: { 'upload-complete': '?1', 'upload-length': id === 'appendUpload' ? '1' : '99' },
  }),
  'checksum-mismatch': () => ({
    headers: {
      ...tus,
      ...metadata,
      'upload-complete': undefined,
      'upload-length': '3',
      'content-type': 'application/offset+octet-stream',
      'upload-checksum': 'sha1 AAAA',
    },
  }),
}

it('occur for what is wrong with the request', async () => {
  const app = await testApp({ MAX_FILE_BYTES: String(MOST_BYTES), QUOTA_BYTES: String(MOST_BYTES) })
  await expectEach(app, await sceneOf(app), OF_THE_REQUEST)
})

it('occur where a request takes too long', async () => {
  const app = await testApp({}, undefined, { headerMs: 100 })
  await expectEach(app, await sceneOf(app), { 'request-timeout': ({ method, path }) => `${method} ${path}` })
})

it('occur where there are too many connections', async () => {
  const app = await testApp()
  const scene = await sceneOf(app)
  const crowded = await testApp({}, undefined, { mostConnections: 1 })
  const holder = wire(crowded.url)
  await expect.poll(() => crowded.connections.length).toBe(1)
  // Nobody reads what the request was.
  await expectEach(crowded, scene, { 'not-ready': () => '' })
  holder.socket.destroy()
})

it('occur where somebody asks too often', async () => {
  const RATE_LIMITS = 'requests=12/1h, register=2/1h, sign-in=3/1h, pairing=3/1h, exports=1/1h'
  const app = await testApp({ RATE_LIMIT: 'on', RATE_LIMITS })
  const scene = await sceneOf(app)
  for (const id of ['register', 'signIn', 'requestPin', ...Array(12).fill('getMe')])
    await ask(app, bytesOf(sentTo(scene, id)))
  await expectEach(app, scene, { 'too-many-requests': () => ({}) })
})

it('occur while nothing may be changed', async () => {
  const folder = await temporaryFolder()
  const before = await testApp({}, folder)
  const scene = await sceneOf(before)
  await before.settled()
  await before.close()
  await expectEach(await testApp({ READ_ONLY: 'on' }, folder), scene, { 'read-only': () => ({}) })
})

it('occur where the database is broken', async () => {
  const app = await testApp()
  const scene = await sceneOf(app)
  const database = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
  database.pragma('foreign_keys = OFF')
  for (const table of ['sessions', 'users']) database.exec(`DROP TABLE ${table}`)
  database.close()
  await expectEach(app, { ...scene, pin: scene.goodPin }, { 'internal-error': () => ({}) })
})

it('occur where the connection to the database breaks', async () => {
  const app = await testApp()
  const scene = await sceneOf(app)
  const breaks = async () => {
    throw Object.assign(new Error('the connection broke'), { code: 'ECONNABORTED' })
  }
  for (const repository of [app.ports.users, app.ports.sessions])
    Object.assign(repository, Object.fromEntries(Object.keys(repository).map((name) => [name, breaks])))
  await expectEach(app, { ...scene, pin: scene.goodPin }, { 'outcome-unknown': () => ({}) })
})

it('occur on a full disk', async ({ skip }: TestContext) => {
  const disk = smallDisk(skip)
  const app = await testApp({}, disk.path)
  const scene = await sceneOf(app)
  // Then the upload that was refused for it could become a file.
  await scene.ada.request('/v1/files/late.jpg', { method: 'DELETE' })
  rmSync(join(app.config.DATA_DIR, 'reserve'))
  // A log that was checkpointed has room for writes on a full disk.
  const database = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  disk.fill()
  await expectEach(
    app,
    { ...scene, pin: scene.goodPin },
    {
      'insufficient-storage': ({ path }, { id }) => {
        if (id === 'uploadOffset') return { path: '/v1/uploads/REFUSED', headers: tus }
        return id === 'restoreFile' ? { path: `${path}?onConflict=rename` } : {}
      },
    },
  )
})

it('occur where the upload goes on elsewhere', async () => {
  const app = await testApp()
  const scene = await sceneOf(app)
  const operations = scene.operations.filter((operation) => codesIn(operation).includes('upload-in-use'))
  for (const { id, method } of operations) {
    const sent = sentTo(scene, id)
    const headers = { ...sent.headers, 'upload-draft-interop-version': '10', 'upload-complete': '?1' }
    const { socket, received, until } = wire(app.url)
    socket.write(bytesOf({ ...sent, headers }).slice(0, -1))
    if (method !== 'PATCH') await until('\r\n\r\n')
    const [, location = sent.path] = /^location: (.*)\r$/im.exec(received()) ?? []
    await expect
      .poll(async () => {
        await scene.ada.request(location, { method: 'HEAD' })
        return /"code":"([a-z-]+)"/.exec(received())?.[1]
      })
      .toBe('upload-in-use')
  }
})

it('are all among these', async () => {
  const app = await testApp()
  const others = [
    'request-timeout',
    'not-ready',
    'outcome-unknown',
    'too-many-requests',
    'read-only',
    'internal-error',
    'insufficient-storage',
    'upload-in-use',
  ]
  const operations = await operationsOf(app)
  const documented = operations.flatMap((operation) => codesIn(operation))
  for (const operation of operations) {
    const refusals = Object.keys(operation.responses).filter((status) => Number(status) >= 400)
    const driven = refusals.filter((status) => codesOf(operation, Number(status)).length > 0)
    expect([operation.id, driven]).toEqual([operation.id, refusals])
  }
  expect([...new Set(documented)].sort()).toEqual([...Object.keys(OF_THE_REQUEST), ...others].sort())
})

interface Scene {
  operations: Operation[]
  ada: Member
  trashed: string
  /** A device with its PIN, right or not. */
  deviceId: string
  pin: string
  goodPin: string
  /** Uploads without bytes, each for one request. Their names are taken since. */
  uploads: string[]
  /** By a word in the path of a way: an upload of tus with all its bytes whose name was taken meanwhile, forms, a concatenation. */
  special: Record<'REFUSED' | 'MALFORMED' | 'MISNAMED' | 'FINAL', string>
}

/** A vault with a file that has a thumbnail, one more, one in the trash whose name is taken again, and a second device. */
async function sceneOf(app: TestApp): Promise<Scene> {
  const operations = await operationsOf(app)
  const ada = await member(app)
  for (const [name, bytes] of [
    ['taken.jpg', 'old'],
    ['beach.jpg', 'sand'],
  ] as const)
    await ada.put(name, bytes)
  await ada.request('/v1/files/taken.jpg', { method: 'DELETE' })
  await ada.put('taken.jpg', 'new')
  const { files } = (await ada.request('/v1/trash')).body as { files: { id: string }[] }
  const picture = { method: 'PUT', headers: { 'content-type': 'image/jpeg' }, body: 'small' }
  await ada.request('/v1/files/beach.jpg/thumbnail', picture)
  await paired(app, ada)
  const deviceId = newDeviceId()
  const goodPin = await pinFrom(ada, deviceId)
  const uploads = await Promise.all(Array.from({ length: 60 }, () => begun(ada)))
  const refused = await begunTus(ada)
  await ada.put('late.jpg', 'x')
  const headers = { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
  await ada.request(`/v1/uploads/${refused}`, { method: 'PATCH', headers, body: 'sea' })
  return {
    operations,
    ada,
    uploads,
    special: {
      REFUSED: refused,
      MALFORMED: await begunForm(ada),
      MISNAMED: await begunForm(ada),
      FINAL: await joined(ada),
    },
    trashed: String(files[0]?.id),
    deviceId,
    goodPin,
    pin: goodPin === '0000' ? '0001' : '0000',
  }
}

async function begun(ada: Member): Promise<string> {
  const headers = { ...disposition('late.jpg').headers, 'upload-complete': '?0' }
  const { headers: answered } = await ada.request('/v1/uploads', { method: 'POST', headers })
  return String(answered.location).replace(/.*\//, '')
}

async function begunTus(ada: Member): Promise<string> {
  const name = Buffer.from('late.jpg').toString('base64')
  const headers = { ...tus, 'upload-length': '3', 'upload-metadata': `filename ${name}` }
  const { headers: answered } = await ada.request('/v1/uploads', { method: 'POST', headers })
  return String(answered.location).replace(/.*\//, '')
}

async function begunForm(ada: Member): Promise<string> {
  const headers = { 'content-type': 'multipart/form-data; boundary=form', 'upload-complete': '?0' }
  const { headers: answered } = await ada.request('/v1/files', { method: 'POST', headers })
  return String(answered.location).replace(/.*\//, '')
}

/** A complete concatenation. */
async function joined(ada: Member): Promise<string> {
  const bytes = { ...tus, 'content-type': 'application/offset+octet-stream', 'upload-length': '1' }
  const partial = { method: 'POST', headers: { ...bytes, 'upload-concat': 'partial' }, body: 'x' }
  const { location } = (await ada.request('/v1/uploads', partial)).headers
  const name = { 'upload-metadata': `filename ${Buffer.from('joined.jpg').toString('base64')}` }
  const final = { method: 'POST', headers: { ...tus, ...name, 'upload-concat': `final;${location}` } }
  return String((await ada.request('/v1/uploads', final)).headers.location).replace(/.*\//, '')
}

async function operationsOf(app: TestApp): Promise<Operation[]> {
  const { operations } = documentOf((await app.request('/docs/json')).body as OpenApi)
  return operations.map((operation) =>
    operation.method === 'HEAD' ? withCodesOfGet(operation, operations) : operation,
  )
}

/** The codes of other methods of the path that its HEAD cannot have. */
const NOT_OF_HEAD = ['malformed-json', 'read-only', 'mismatching-upload-offset', 'upload-in-use', 'quota-exceeded']

/** The response to HEAD has no body and so no code: the codes of its statuses are those of GET, or without a GET of another method. */
function withCodesOfGet(head: Operation, operations: Operation[]): Operation {
  const others = operations.filter(({ method, path }) => method !== 'HEAD' && path === head.path)
  const get = others.find(({ method }) => method === 'GET')
  const [most, least] = others.toSorted((a, b) => Object.keys(b.responses).length - Object.keys(a.responses).length)
  const responses = Object.entries(head.responses).map(([status, response]) => {
    if (get) return [status, { ...response, content: get.responses[status]?.content }]
    const codes = codesOf((least?.responses[status] ? least : most) as Operation, Number(status))
    const examples = Object.fromEntries(codes.filter((code) => !NOT_OF_HEAD.includes(code)).map((code) => [code, {}]))
    return [status, { ...response, content: { 'application/problem+json': { examples } } }]
  })
  return { ...head, responses: Object.fromEntries(responses) }
}

const codesIn = (operation: Operation) =>
  Object.keys(operation.responses).flatMap((status) => codesOf(operation, Number(status)))

/** A valid request. */
function sentTo({ operations, ada, trashed, uploads, deviceId, pin }: Scene, id: string): Sent {
  const { method, path } = operations.find((operation) => operation.id === id) as Operation
  const bodies: Record<string, Pick<Sent, 'headers' | 'body'>> = {
    register: json({ name: 'Ada', email: ada.email, deviceId }),
    requestPin: json({ deviceId }),
    signIn: json({ deviceId, pin }),
    renameFile: json({ name: 'other.jpg' }),
    lookUpFiles: json({ sha256: [] }),
    uploadForm: upload('new.jpg'),
    putThumbnail: { headers: { 'content-type': 'image/jpeg' }, body: 'picture' },
    putFile: { headers: { 'content-type': 'image/jpeg' }, body: 'sea' },
    createUpload: { ...disposition('made.jpg'), body: 'sea' },
    appendUpload: {
      headers: { 'content-type': 'application/partial-upload', 'upload-offset': '0', 'upload-complete': '?1' },
      body: 'sea',
    },
  }
  const begunUpload = path === '/v1/uploads/{id}' ? uploads.shift() : undefined
  const filled = path
    .replace('{name}', 'beach.jpg')
    .replace('{sessionId}', 'current')
    .replace('{id}', begunUpload ?? trashed)
  const { headers = {}, body = '' } = bodies[id] ?? {}
  return { method, path: filled, headers: { authorization: `Bearer ${ada.token}`, ...headers }, body }
}

/** Each code that has a way, at each operation that is documented with it. */
async function expectEach(app: TestApp, scene: Scene, ways: Record<string, Way>) {
  const cases = scene.operations.flatMap((operation) =>
    codesIn(operation).flatMap((code) => (ways[code] ? [{ operation, code, way: ways[code] }] : [])),
  )
  expect(new Set(cases.map(({ code }) => code))).toEqual(new Set(Object.keys(ways)))
  const outcomes = await Promise.all(
    cases.map(async ({ operation, code, way }) => {
      const sent = sentTo(scene, operation.id)
      const changed = way(sent, operation)
      if (typeof changed !== 'string') {
        const special = (word: string) => scene.special[word as keyof Scene['special']]
        changed.path = changed.path?.replace(/REFUSED|MALFORMED|MISNAMED|FINAL/, special) ?? sent.path
      }
      const bytes =
        typeof changed === 'string'
          ? changed
          : bytesOf({ ...sent, ...changed, headers: { ...sent.headers, ...changed.headers } })
      const status = Object.keys(operation.responses).find((one) => codesOf(operation, Number(one)).includes(code))
      const answer = await ask(app, bytes)
      if (operation.method !== 'HEAD') return [`${operation.id} ${answer}`, `${operation.id} ${status} ${code}`]
      return [`${operation.id} ${answer.slice(0, 3)} for ${code}`, `${operation.id} ${status} for ${code}`]
    }),
  )
  expect(outcomes.map(([seen]) => seen)).toEqual(outcomes.map(([, documented]) => documented))
}

function bytesOf({ method, path, headers, body }: Sent): string {
  const framing = headers['transfer-encoding'] ? {} : { 'content-length': Buffer.byteLength(body) }
  const fields = Object.entries({ host: 'a', connection: 'close', ...framing, ...headers })
  const lines = fields.filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/** The status of the response, and the code in its body. */
async function ask(app: TestApp, bytes: string): Promise<string> {
  const { socket, ended } = wire(app.url)
  // One that is not complete breaks off here.
  if (bytes.endsWith('Host: a')) socket.end(bytes)
  else socket.write(bytes)
  const answer = await ended
  return `${/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]} ${/"code":"([a-z-]+)"/.exec(answer)?.[1]}`
}
