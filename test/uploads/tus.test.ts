/** tus 1.0.0 where its clients rarely go. */
import { describe, expect, it } from 'vitest'
import { appForMany, blobsOnDisk, type Member, member, testApp } from '../support/app.ts'
import type { Call } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()
const TUS = { 'tus-resumable': '1.0.0' }
const BYTES = { ...TUS, 'content-type': 'application/offset+octet-stream' }
const named = (name: string) => ({ 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` })

async function begun(ada: Member, fields: Record<string, string> = {}, body?: string) {
  const headers = { ...(body === undefined ? TUS : BYTES), 'upload-length': '3', ...named('film'), ...fields }
  const answer = await ada.request('/v1/uploads', { method: 'POST', headers, ...(body !== undefined && { body }) })
  expect(answer.status).toBe(201)
  return String(answer.headers.location)
}

describe('a POST to an upload that stands for another method', () => {
  const post = (ada: Member, path: string, method: string, { headers = {}, ...call }: Call = {}) =>
    ada.request(path, { method: 'POST', ...call, headers: { ...TUS, 'x-http-method-override': method, ...headers } })

  it('appends, asks and cancels', async () => {
    const ada = await member(await sharedApp())
    const path = await begun(ada)
    const appended = await post(ada, path, 'PATCH', { headers: { ...BYTES, 'upload-offset': '0' }, body: 'se' })
    expect([appended.status, appended.headers['upload-offset']]).toEqual([204, '2'])
    const asked = await post(ada, path, 'HEAD')
    expect([asked.status, asked.headers['upload-offset'], asked.body]).toEqual([200, '2', ''])
    expect((await post(ada, path, 'delete')).status).toBe(204)
    expect(await post(ada, path, 'PATCH', { headers: { ...BYTES, 'upload-offset': '2' }, body: 'a' })).toBeProblem(
      404,
      'upload-not-found',
    )
    expect(await post(ada, path, 'HEAD')).toBeProblem(404, 'upload-not-found')
  })

  it('stands for no other method, and only in tus, and only there', async () => {
    const ada = await member(await sharedApp())
    await ada.put('film', 'sea')
    const path = await begun(ada, named('other'))
    for (const method of ['GET', 'PUT', 'PATCH, DELETE', 'OPTIONS', 'constructor']) {
      expect(await post(ada, path, method)).toBeProblem(405, 'method-not-allowed')
    }
    const headers = { 'x-http-method-override': 'DELETE' }
    expect(await ada.request(path, { method: 'POST', headers })).toBeProblem(405, 'method-not-allowed')
    expect(await post(ada, '/v1/files/film', 'DELETE')).toBeProblem(405, 'method-not-allowed')
    expect((await ada.get('film')).body).toBe('sea')
  })

  it('needs the session, and is refused by a vault that is read-only', async () => {
    const app = await testApp()
    const ada = await member(app)
    const path = await begun(ada)
    const headers = { ...TUS, 'x-http-method-override': 'DELETE' }
    expect(await app.request(path, { method: 'POST', headers })).toBeProblem(401, 'unauthorized')
    await app.close()
    const readOnly = await testApp({ READ_ONLY: 'on' }, app.config.DATA_DIR.replace(/\/data$/, ''))
    const call = { method: 'POST', headers: { ...headers, authorization: `Bearer ${ada.token}` } }
    expect(await readOnly.request(path, call)).toBeProblem(503, 'read-only')
  })

  it('ends its response, so that the next request of the connection gets its own', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const path = await begun(ada)
    const line = wire(app.url)
    const fields = { ...TUS, authorization: `Bearer ${ada.token}`, 'x-http-method-override': 'HEAD' }
    const twice = head(`POST ${path}`, { ...fields, 'content-length': 0 })
    line.socket.write(twice + head('GET /v1/me', { authorization: `Bearer ${ada.token}`, connection: 'close' }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 200 .*upload-offset: 0.*HTTP\/1\.1 200 .*"userId"/s)
  })
})

it('a concatenation takes no bytes, and names each of its parts once', async () => {
  const ada = await member(await sharedApp())
  const part = await begun(ada, { 'upload-concat': 'partial' }, 'sea')
  const twice = { ...TUS, ...named('film'), 'upload-concat': `final;${part} ${part}` }
  expect(await ada.request('/v1/uploads', { method: 'POST', headers: twice })).toBeProblem(400, 'invalid-request')
  const once = { ...twice, 'upload-concat': `final;${part}` }
  const { status, headers } = await ada.request('/v1/uploads', { method: 'POST', headers: once })
  expect(status).toBe(201)
  const append = { method: 'PATCH', headers: { ...BYTES, 'upload-offset': '3' } }
  expect(await ada.request(String(headers.location), append)).toBeProblem(403, 'final-upload')
})

it('a deferred length is set once: bytes with another one are not stored', async () => {
  const ada = await member(await sharedApp())
  const headers = { ...TUS, ...named('film'), 'upload-defer-length': '1' }
  const path = String((await ada.request('/v1/uploads', { method: 'POST', headers })).headers.location)
  const append = (offset: number, body: string, length?: string) =>
    ada.request(path, {
      method: 'PATCH',
      headers: { ...BYTES, 'upload-offset': String(offset), ...(length !== undefined && { 'upload-length': length }) },
      body,
    })
  expect((await append(0, 'se')).status).toBe(204)
  expect((await append(2, 'a', '6')).status).toBe(204)
  expect(await append(3, 'hor', '7')).toBeProblem(400, 'inconsistent-upload-length')
  expect(await append(3, 'hor', 'x')).toBeProblem(400, 'invalid-request')
  expect((await ada.get('film')).status).toBe(404)
  expect((await append(3, 'hor', '6')).headers['content-location']).toBe('/v1/files/film')
  expect((await ada.get('film')).body).toBe('seahor')
})

it('refusals before the upload have the version, too', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const headers = TUS
  for (const [answer, status] of [
    [await app.request('/v1/uploads', { method: 'POST', headers }), 401],
    [await ada.request('/v1/uploads', { method: 'PUT', headers }), 405],
    [await ada.request('/v1/uploads/none/none', { headers }), 404],
  ] as const) {
    expect([answer.status, answer.headers['tus-resumable']]).toEqual([status, '1.0.0'])
  }
})

it('an item of the draft may have parameters, and a number of tus none', async () => {
  const ada = await member(await sharedApp())
  const first = { 'upload-complete': '?0;a=b', 'upload-length': '6;x', 'content-disposition': 'attachment; filename=a' }
  const { headers } = await ada.request('/v1/uploads', { method: 'POST', headers: first, body: 'abc' })
  const path = String(headers.location)
  const at = (offset: string) => {
    const fields = { 'content-type': 'application/partial-upload', 'upload-complete': '?1', 'upload-offset': offset }
    return ada.request(path, { method: 'PATCH', headers: fields, body: 'def' })
  }
  for (const wrong of ['3;', '3;"', '3.0;a', '-3;a', '"3";a']) {
    expect(await at(wrong)).toBeProblem(400, 'invalid-request')
  }
  expect((await at('3;x=1')).status).toBe(201)
  const call = { method: 'POST', headers: { ...TUS, ...named('b'), 'upload-length': '6;x' } }
  expect(await ada.request('/v1/uploads', call)).toBeProblem(400, 'invalid-request')
})

it('a file that is too large is told the limit', async () => {
  const ada = await member(await testApp({ MAX_FILE_BYTES: '10' }))
  const first = { 'upload-complete': '?0', 'upload-length': '11' }
  const answer = await ada.put('film', '', first)
  expect(answer).toBeProblem(413, 'file-too-large')
  expect(answer.headers['upload-limit']).toContain('max-size=10')
})

it.for(['renamed', 'deleted', 'replaced'] as const)('a file that was %s is not named any more', async (what) => {
  const ada = await member(await sharedApp())
  const path = await begun(ada, {}, 'sea')
  const location = async (headers: Record<string, string>) =>
    (await ada.request(path, { method: 'HEAD', headers })).headers['content-location']
  expect([await location(TUS), await location({})]).toEqual(['/v1/files/film', '/v1/files/film'])
  if (what === 'renamed') {
    const body = '{"name":"other"}'
    await ada.request('/v1/files/film', { method: 'PATCH', headers: { 'content-type': 'application/json' }, body })
    await ada.put('film', 'sand')
  } else if (what === 'deleted') {
    await ada.request('/v1/files/film', { method: 'DELETE' })
  } else {
    await ada.put('film', 'sand')
  }
  // A file that has another version now is still the same file.
  const wanted = what === 'replaced' ? '/v1/files/film' : undefined
  expect([await location(TUS), await location({})]).toEqual([wanted, wanted])
  const again = { ...BYTES, 'upload-offset': '3' }
  const answer = await ada.request(path, { method: 'PATCH', headers: again })
  expect([answer.status, answer.headers['content-location']]).toEqual([204, wanted])
})

it.for([
  ['/v1/uploads', 'GET, HEAD, OPTIONS, POST'],
  ['/v1/uploads/any', 'DELETE, HEAD, OPTIONS, PATCH'],
  ['/v1/files', 'GET, HEAD, OPTIONS, POST'],
  ['/v1/files/any?a=b', 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
] as const)('OPTIONS of %s has Allow', async ([path, allow]) => {
  const answer = await (await sharedApp()).request(path, { method: 'OPTIONS' })
  expect([answer.status, answer.headers.allow]).toEqual([204, allow])
})

it('a concatenation of tiny pieces takes no blob for each, and needs no quota for the moment between', async () => {
  const app = await testApp({ QUOTA_BYTES: '4' })
  const ada = await member(app)
  const pieces: string[] = []
  for (const byte of 'sea') pieces.push(await begun(ada, { 'upload-concat': 'partial', 'upload-length': '1' }, byte))
  const concatenate = () => {
    const headers = { ...TUS, ...named('film'), 'upload-concat': `final;${pieces.join(' ')}` }
    return ada.request('/v1/uploads', { method: 'POST', headers })
  }
  const answers = await Promise.all([concatenate(), concatenate()])
  expect(answers.map(({ status }) => status)).toContain(201)
  for (const { status, body } of answers) {
    if (status !== 201) expect(['upload-not-found', 'upload-in-use']).toContain((body as { code: string }).code)
  }
  expect((await ada.get('film')).body).toBe('sea')
  await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
  expect((await ada.request('/v1/me')).body).toMatchObject({ usage: { files: 1, bytes: 3 } })
  expect((await ada.request('/v1/uploads')).body).toEqual({ uploads: [] })
})

it('a creation has at most 12 KiB of what HEAD sends back', async () => {
  const ada = await member(await sharedApp())
  const concat = { 'upload-concat': 'partial' }
  const metadata = (bytes: number) => ({ 'upload-metadata': 'k '.padEnd(bytes - concat['upload-concat'].length, 'a') })
  const path = await begun(ada, { ...concat, ...metadata(12 * 1024) })
  const asked = await ada.request(path, { method: 'HEAD', headers: TUS })
  expect(asked.headers).toMatchObject(metadata(12 * 1024))
  const headers = { ...TUS, 'upload-length': '3', ...concat, ...metadata(12 * 1024 + 1) }
  expect(await ada.request('/v1/uploads', { method: 'POST', headers })).toBeProblem(431, 'headers-too-large')
})
