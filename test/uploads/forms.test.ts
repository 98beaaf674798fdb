/** A form that comes as an upload which can be resumed gets the response that it would have got without the protocol. */
import { describe, expect, it } from 'vitest'
import { appForMany, blobsOnDisk, form, type Member, member, testApp } from '../support/app.ts'
import type { Answer, Call } from '../support/http.ts'

const sharedApp = appForMany()
const TUS = { 'tus-resumable': '1.0.0' }

const formOf = (content: string | Buffer, filename = 'a') => {
  const { headers, body } = form([{ name: 'file', filename, content }])
  return { headers, bytes: Buffer.from(body as Buffer) }
}

interface Sent {
  headers: Record<string, string>
  bytes: Buffer
}

const plain = (ada: Member, { headers, bytes }: Sent) =>
  ada.request('/v1/files', { method: 'POST', headers, body: bytes })

const whole = (ada: Member, { headers, bytes }: Sent, more: Call = {}) =>
  ada.request('/v1/files', { method: 'POST', headers: { ...headers, 'upload-complete': '?1' }, body: bytes, ...more })

async function begun(ada: Member, { headers, bytes }: Sent, end = bytes.length, more: Record<string, string> = {}) {
  const fields = { ...headers, 'upload-complete': '?0', ...more }
  const answer = await ada.request('/v1/files', { method: 'POST', headers: fields, body: bytes.subarray(0, end) })
  expect(answer.status).toBe(201)
  return String(answer.headers.location)
}

const last = (ada: Member, path: string, offset: number, body: Buffer | string = '') => {
  const headers = {
    'content-type': 'application/partial-upload',
    'upload-offset': String(offset),
    'upload-complete': '?1',
  }
  return ada.request(path, { method: 'PATCH', headers, body })
}

async function inPieces(ada: Member, sent: Sent): Promise<Answer> {
  return last(ada, await begun(ada, sent, 50), 50, sent.bytes.subarray(50))
}

const usage = async (ada: Member) => ((await ada.request('/v1/me')).body as { usage: unknown }).usage
const open = async (ada: Member) => ((await ada.request('/v1/uploads')).body as { uploads: unknown[] }).uploads

describe.each([
  ['in one request', whole],
  ['in two', inPieces],
])('a form %s', (_what, send) => {
  it('needs the room of its file once', async () => {
    const app = await testApp({ QUOTA_BYTES: '10000' })
    const ada = await member(app)
    expect((await send(ada, formOf(Buffer.alloc(6000)))).status).toBe(201)
    expect(await usage(ada)).toEqual({ files: 1, trashFiles: 0, bytes: 6000 })
    expect((await send(ada, formOf(Buffer.alloc(4000), 'b'))).status).toBe(201)
    expect(await usage(ada)).toEqual({ files: 2, trashFiles: 0, bytes: 10_000 })
    expect((await ada.get('b')).bytes).toEqual(Buffer.alloc(4000))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(2)
  })

  it('has no more room than a plain one, though it may be larger than its file', async () => {
    const ada = await member(await testApp({ QUOTA_BYTES: '10000' }))
    const answer = await send(ada, formOf(Buffer.alloc(10_001)))
    expect(answer).toBeProblem(507, 'quota-exceeded')
    expect((answer.body as { detail: string }).detail).toMatch(/The upload keeps the bytes that it has\.$/)
    expect(await open(ada)).toHaveLength(1)
  })

  it('has the largest file that may be', async () => {
    const ada = await member(await testApp({ MAX_FILE_BYTES: '1000' }))
    expect((await send(ada, formOf(Buffer.alloc(1000)))).status).toBe(201)
    expect(await send(ada, formOf(Buffer.alloc(1001), 'b'))).toBeProblem(413, 'file-too-large')
    expect([await open(ada), await usage(ada)]).toEqual([[], { files: 1, trashFiles: 0, bytes: 1000 }])
  })

  it.each([
    ['malformed', 'malformed-multipart', (sent: Sent) => ({ ...sent, bytes: sent.bytes.subarray(0, -4) })],
    ['without a name that can be used', 'invalid-name', () => formOf('sand', 'a/b')],
  ])('that is %s leaves nothing', async (_why, code, change) => {
    const app = await testApp()
    const ada = await member(app)
    expect(await send(ada, change(formOf('sand')))).toBeProblem(400, code)
    expect([await open(ada), await usage(ada)]).toEqual([[], { files: 0, trashFiles: 0, bytes: 0 }])
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
  })

  it('of a file that is there names it, as a plain one does', async () => {
    const ada = await member(await sharedApp())
    expect((await plain(ada, formOf('sand'))).headers.location).toBe('/v1/files/a')
    for (const answer of [await plain(ada, formOf('sand')), await send(ada, formOf('sand'))]) {
      expect([answer.status, answer.headers.location]).toEqual([200, '/v1/files/a'])
    }
  })
})

it('a form without a boundary is refused before its bytes', async () => {
  const ada = await member(await sharedApp())
  const headers = { 'content-type': 'multipart/form-data', 'upload-complete': '?0' }
  expect(await ada.request('/v1/files', { method: 'POST', headers })).toBeProblem(400, 'malformed-multipart')
})

it('the digests of a form are ignored, as those of a plain one', async () => {
  const ada = await member(await sharedApp())
  const digest = `sha-256=:${Buffer.alloc(32).toString('base64')}:`
  const sent = formOf('sand')
  const headers = { ...sent.headers, 'repr-digest': digest, 'content-digest': digest }
  expect((await plain(ada, { ...sent, headers })).status).toBe(201)
  expect((await whole(ada, { bytes: sent.bytes, headers })).status).toBe(200)
})

it('a form is complete for everybody who asks, once', async () => {
  const app = await testApp()
  const ada = await member(app)
  const sent = formOf('sand')
  const path = await begun(ada, sent)
  const answers = await Promise.all([1, 2, 3].map(() => last(ada, path, sent.bytes.length)))
  for (const { status } of answers) expect([200, 201, 204, 409]).toContain(status)
  expect(answers.some(({ status }) => status === 201)).toBe(true)
  const asked = await ada.request(path, { method: 'HEAD' })
  expect([asked.status, asked.headers]).toMatchObject([
    204,
    { 'upload-complete': '?1', 'upload-offset': String(sent.bytes.length), 'content-location': '/v1/files/a' },
  ])
  expect(await usage(ada)).toEqual({ files: 1, trashFiles: 0, bytes: 4 })
  expect((await ada.request(path, { method: 'DELETE' })).status).toBe(204)
  expect(await usage(ada)).toEqual({ files: 1, trashFiles: 0, bytes: 4 })
  expect((await ada.get('a')).body).toBe('sand')
})

it('a form with all its bytes becomes a file when tus asks for its offset', async () => {
  const ada = await member(await sharedApp())
  const sent = formOf('sand')
  const path = await begun(ada, sent, undefined, { 'upload-length': String(sent.bytes.length) })
  const asked = await ada.request(path, { method: 'HEAD', headers: TUS })
  expect([asked.status, asked.headers['content-location']]).toEqual([200, '/v1/files/a'])
  expect((await ada.get('a')).body).toBe('sand')
})

it('a form whose stored bytes are damaged stays, and is not called malformed', async () => {
  const app = await testApp()
  const ada = await member(app)
  const sent = formOf('sand')
  const path = await begun(ada, sent)
  await app.ports.blobs.delete(await storedBlobs(app))
  expect(await last(ada, path, sent.bytes.length)).toBeProblem(500, 'internal-error')
  expect(await open(ada)).toHaveLength(1)
})

async function storedBlobs(app: Awaited<ReturnType<typeof testApp>>) {
  const [upload] = await app.ports.uploads.page('', 1)
  return (await app.ports.files.parts(upload?.upload.id ?? '', 0, 9)).map(({ blob }) => blob)
}

it('a PUT that replaces a file, or finds it, has no Location, as without the protocol', async () => {
  const ada = await member(await sharedApp())
  await ada.put('b', 'sand')
  for (const [bytes, fields] of [
    ['sea', {}],
    ['sun', { 'upload-complete': '?1' }],
    ['sun', { 'upload-complete': '?1' }],
  ] as const) {
    const answer = await ada.put('b', bytes, fields)
    expect([answer.status, answer.headers.location]).toEqual([200, undefined])
  }
})
