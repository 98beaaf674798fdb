/** Uploads that are begun in one protocol and finished in the other. What the creation asked for holds until the end. */
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { appForMany, form, type Member, member } from '../support/app.ts'

const sharedApp = appForMany()
const TUS = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }
const digest = (text: string) => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`

async function begun(ada: Member, fields: Record<string, string> = {}): Promise<string> {
  const headers = { 'content-disposition': 'attachment; filename="film"', 'upload-complete': '?0', ...fields }
  const answer = await ada.request('/v1/uploads?onConflict=replace', {
    method: 'POST',
    headers: { 'upload-length': '3', ...headers },
    body: 'se',
  })
  expect(answer.status).toBe(201)
  return String(answer.headers.location)
}

const append = (ada: Member, path: string, offset: number, body: string) =>
  ada.request(path, { method: 'PATCH', headers: { ...TUS, 'upload-offset': String(offset) }, body })

it('tus finishes an upload of the draft at its length', async () => {
  const ada = await member(await sharedApp())
  const answer = await append(ada, await begun(ada), 2, 'a')
  expect([answer.status, answer.headers['content-location']]).toEqual([204, '/v1/files/film'])
  expect((await ada.get('film')).body).toBe('sea')
})

it('the conditions and the digest of the creation hold for tus, too', async () => {
  const ada = await member(await sharedApp())
  const guarded = await begun(ada, { 'if-none-match': '*' })
  const digested = await begun(ada, { 'repr-digest': digest('sun') })
  await ada.put('film', 'other')
  expect(await append(ada, guarded, 2, 'a')).toBeProblem(412, 'precondition-failed')
  expect(await append(ada, digested, 2, 'a')).toBeProblem(400, 'digest-mismatch')
  expect((await ada.get('film')).body).toBe('other')
})

it('an upload of the draft with all its bytes becomes a file when tus asks for its offset', async () => {
  const ada = await member(await sharedApp())
  const path = await begun(ada)
  const headers = { 'content-type': 'application/partial-upload', 'upload-offset': '2', 'upload-complete': '?0' }
  expect((await ada.request(path, { method: 'PATCH', headers, body: 'a' })).status).toBe(204)
  expect(await ada.get('film')).toBeProblem(404, 'file-not-found')
  const answer = await ada.request(path, { method: 'HEAD', headers: TUS })
  expect([answer.status, answer.headers['content-location']]).toEqual([200, '/v1/files/film'])
  expect((await ada.get('film')).body).toBe('sea')
})

it('tus finishes a form', async () => {
  const ada = await member(await sharedApp())
  const { headers, body } = form([{ name: 'file', filename: 'beach.jpg', content: 'sand' }])
  const bytes = Buffer.from(body as Buffer)
  const first = { ...headers, 'upload-complete': '?0', 'upload-length': String(bytes.length) }
  const answer = await ada.request('/v1/files', { method: 'POST', headers: first, body: bytes.subarray(0, 9) })
  const rest = await append(ada, String(answer.headers.location), 9, bytes.subarray(9).toString())
  expect([rest.status, rest.headers['content-location']]).toEqual([204, '/v1/files/beach.jpg'])
  expect((await ada.get('beach.jpg')).body).toBe('sand')
})
