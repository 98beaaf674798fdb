/** tus-js-client, as an app for Node uses it. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'
import { expect, it } from 'vitest'
import { type Member, member, memberWith, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'

// The types of the package leave it out.
const { FileUrlStorage } = tus as unknown as { FileUrlStorage: new (path: string) => tus.UrlStorage }

const KiB = 1024
const film = randomBytes(1000 * KiB + 3)
const CHUNK = 256 * KiB

interface Running {
  upload: tus.Upload
  ended: Promise<{ url: string | null; error: tus.DetailedError | null }>
}

/** Starts an upload. Retries wait for nothing. */
function start(
  { url }: Pick<TestApp, 'url'>,
  { token }: Pick<Member, 'token'>,
  options: Partial<tus.UploadOptions> = {},
  file: Buffer | NodeJS.ReadableStream = film,
): Running {
  const upload = prepare({ url }, { token }, options, file)
  upload.upload.start()
  return upload
}

function prepare(
  { url }: Pick<TestApp, 'url'>,
  { token }: Pick<Member, 'token'>,
  options: Partial<tus.UploadOptions> = {},
  file: Buffer | NodeJS.ReadableStream = film,
): Running {
  let settle = (_error: tus.DetailedError | null) => {}
  const settled = new Promise<tus.DetailedError | null>((resolve) => {
    settle = resolve
  })
  const upload: tus.Upload = new tus.Upload(file as Buffer, {
    endpoint: `${url}/v1/uploads`,
    metadata: { filename: 'film.mp4', filetype: 'video/mp4' },
    headers: { authorization: `Bearer ${token}` },
    retryDelays: [0, 0, 0],
    onSuccess: () => settle(null),
    onError: (error) => settle(error as tus.DetailedError),
    ...options,
  })
  return { upload, ended: settled.then((error) => ({ url: upload.url, error })) }
}

/** Ends as a closed app ends: without a word to the server. */
async function stopAfterChunks(count: number, begin: (options: Partial<tus.UploadOptions>) => Running) {
  let chunks = 0
  const { upload } = await new Promise<Running>((resolve) => {
    const running = begin({
      chunkSize: CHUNK,
      onChunkComplete() {
        chunks += 1
        if (chunks === count) resolve(running)
      },
    })
  })
  await upload.abort()
  return upload
}

async function expectStored(owner: Member, bytes = film) {
  const { status, headers, bytes: stored } = await owner.get('film.mp4')
  expect([status, headers['content-type'], stored.equals(bytes)]).toEqual([200, 'video/mp4', true])
}

it.each<[how: string, options: Partial<tus.UploadOptions>]>([
  ['in one request', {}],
  ['in chunks', { chunkSize: CHUNK }],
  ['in chunks, of which the first creates the upload', { chunkSize: CHUNK, uploadDataDuringCreation: true }],
  ['in chunks whose sum is known at the end', { chunkSize: CHUNK, uploadLengthDeferred: true }],
  ['as three uploads at once that become one', { parallelUploads: 3 }],
  ['as three uploads at once, in chunks', { parallelUploads: 3, chunkSize: CHUNK / 4 }],
  ['with ids of the client', { addRequestId: true }],
])('uploads %s', async (_how, options) => {
  const app = await testApp()
  const ada = await member(app)
  const file = options.uploadLengthDeferred ? streamOf(film) : film
  expect((await start(app, ada, options, file).ended).error).toBe(null)
  await expectStored(ada)
  expect((await ada.request('/v1/uploads')).body).toEqual({ uploads: [] })
})

it('uploads an empty file', async () => {
  const app = await testApp()
  const ada = await member(app)
  expect((await start(app, ada, {}, Buffer.alloc(0)).ended).error).toBe(null)
  await expectStored(ada, Buffer.alloc(0))
})

it('goes on in another client that has the URL, and says how far it is', async () => {
  const app = await testApp()
  const ada = await member(app)
  const { url } = await stopAfterChunks(2, (options) => start(app, ada, options))
  const progress: number[] = []
  const second = start(app, ada, { uploadUrl: url, onProgress: (sent) => progress.push(sent) })
  expect((await second.ended).error).toBe(null)
  expect(progress[0]).toBeGreaterThanOrEqual(2 * CHUNK)
  await expectStored(ada)
})

it('goes on after the server was restarted', async () => {
  const home = await temporaryFolder()
  const first = await testApp({}, home)
  const ada = await member(first)
  const { url } = await stopAfterChunks(2, (options) => start(first, ada, options))
  await first.close()
  const second = await testApp({}, home)
  const path = new URL(url as string).pathname
  expect((await start(second, ada, { uploadUrl: second.url + path, endpoint: null }).ended).error).toBe(null)
  await expectStored(memberWith(second, ada))
})

it.each([1, 3])('finds an earlier upload of the file by its fingerprint, with %i at once', async (parallelUploads) => {
  const app = await testApp()
  const ada = await member(app)
  const store = join(await temporaryFolder(), 'urls.json')
  await writeFile(store, '{}')
  const stored = () => ({ urlStorage: new FileUrlStorage(store), parallelUploads })
  await stopAfterChunks(2, (options) => start(app, ada, { ...options, chunkSize: CHUNK / 4, ...stored() }))

  const uploads = async () => ((await ada.request('/v1/uploads')).body as { uploads: unknown[] }).uploads.length
  const before = await uploads()
  const { upload, ended } = prepare(app, ada, stored())
  const [previous] = await upload.findPreviousUploads()
  upload.resumeFromPreviousUpload(previous as tus.PreviousUpload)
  upload.start()
  expect((await ended).error).toBe(null)
  expect([before, await uploads()]).toEqual([parallelUploads, 0])
  await expectStored(ada)
})

it('goes on by itself after its connection was cut, again and again', async () => {
  const app = await testApp()
  const proxy = await faultyProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) })
  const ada = await member(app)
  const retries: number[] = []
  let cuts = 0
  const { ended } = start({ url: `http://127.0.0.1:${proxy.port}` }, ada, {
    chunkSize: CHUNK,
    onProgress(sent) {
      // The first two chunks break off.
      if (cuts < 2 && sent > cuts * CHUNK) {
        cuts += 1
        proxy.cut()
      }
    },
    onShouldRetry(error, attempt) {
      retries.push(attempt)
      return error.originalResponse === null
    },
  })
  expect((await ended).error).toBe(null)
  expect(retries.length).toBeGreaterThanOrEqual(2)
  await expectStored(ada)
})

it('is complete even if the response that said so was lost', async () => {
  const app = await testApp()
  const proxy = await faultyProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) })
  const ada = await member(app)
  const lost = proxy.loseAnswerTo('PATCH /v1/uploads/')
  const { ended } = start({ url: `http://127.0.0.1:${proxy.port}` }, ada)
  await lost
  expect((await ended).error).toBe(null)
  await expectStored(ada)
})

it('leaves nothing after an abort with termination', async () => {
  const app = await testApp()
  const ada = await member(app)
  const upload = await stopAfterChunks(2, (options) => start(app, ada, options))
  await upload.abort(true)
  expect((await ada.request('/v1/uploads')).body).toEqual({ uploads: [] })
  expect((await ada.request('/v1/me')).body).toMatchObject({ usage: { bytes: 0 } })
})

it.each<[what: string, status: number, code: string, options: Partial<tus.UploadOptions>]>([
  ['no name', 400, 'invalid-name', { metadata: {} }],
  ['a name that cannot be used', 400, 'invalid-name', { metadata: { filename: 'a/b' } }],
  ['no media type', 400, 'invalid-request', { metadata: { filename: 'a', filetype: 'a\nb' } }],
  ['an unknown choice', 400, 'invalid-request', { metadata: { filename: 'a', onConflict: 'overwrite' } }],
  ['no session', 401, 'unauthorized', { headers: { authorization: 'Bearer mks_no' } }],
  ['a name that is taken', 409, 'file-exists', { metadata: { filename: 'taken' }, onShouldRetry: () => false }],
])('gets a clear error for %s', async (_what, status, code, options) => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('taken', 'other bytes')
  const { error } = await start(app, ada, options).ended
  expect(error?.originalResponse?.getStatus()).toBe(status)
  expect(JSON.parse(error?.originalResponse?.getBody() ?? '')).toMatchObject({ code })
  expect((await ada.request('/v1/uploads')).body).toEqual({ uploads: [] })
})

/** With a stream of a file this client announces more bytes than it sends. */
function streamOf(bytes: Buffer) {
  return new PassThrough().end(bytes)
}
