/** The name of an upload is the name that the client sent, or the upload is refused. */
import { expect, it } from 'vitest'
import { appForMany, member } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()
const base64 = (bytes: Buffer) => bytes.toString('base64')

/** Sends the field as it is: an HTTP client would encode it in its own way. */
async function begunBy(disposition: string | Buffer) {
  const app = await sharedApp()
  const { token } = await member(app)
  const line = wire(app.url)
  const fields = { authorization: `Bearer ${token}`, connection: 'close', 'upload-complete': '?1', 'content-length': 4 }
  line.socket.write(head('POST /v1/uploads', fields).slice(0, -2))
  line.socket.write(
    Buffer.concat([Buffer.from('Content-Disposition: '), Buffer.from(disposition), Buffer.from('\r\n\r\nsand')]),
  )
  const answer = Buffer.from(await line.ended, 'latin1').toString()
  const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as { name?: string; code?: string }
  return [Number(answer.split(' ')[1]), body.name ?? body.code]
}

it.for([
  ['raw UTF-8', 'attachment; filename="Käse.jpg"', 'Käse.jpg'],
  ['raw UTF-8 of other scripts', 'attachment; filename="日本.txt"', '日本.txt'],
  ['ISO-8859-1 in filename*', "attachment; filename*=iso-8859-1''K%E4se.jpg", 'Käse.jpg'],
  ['a percent sign', 'attachment; filename="100%22.jpg"', '100%22.jpg'],
  ['another disposition', 'inline;filename=a.jpg', 'a.jpg'],
  ['both', `attachment; filename="_.jpg"; filename*=UTF-8''K%C3%A4se.jpg`, 'Käse.jpg'],
] as const)('the draft takes a name in %s', async ([, disposition, name]) => {
  expect(await begunBy(disposition)).toEqual([201, name])
})

it.for([
  ['UTF-8 in filename*', "attachment; filename*=UTF-8''%ff%fe.txt"],
  ['UTF-8 in filename', Buffer.from('attachment; filename="K\xe4se.jpg"', 'latin1')],
  ['ISO-8859-1', "attachment; filename*=iso-8859-1''%80%9f.txt"],
  ['a known charset', "attachment; filename*=koi8-r''%80%9f.txt"],
  ['a plain text', 'attachment; filename="=?utf-8?Q?a=C3=A9?="'],
  ['one name', 'attachment; filename="a"; filename="b"'],
  ['a name', 'attachment'],
  ['readable', 'attachment; filename=a b'],
  ['a disposition', '; filename=a b'],
] as const)('the draft refuses a name that is not %s', async ([, disposition]) => {
  expect(await begunBy(disposition)).toEqual([400, 'invalid-name'])
})

it.for([
  ['filename', 'invalid-name'],
  ['filetype', 'invalid-request'],
  ['onConflict', 'invalid-request'],
  ['takenAt', 'invalid-request'],
  ['other', null],
] as const)('tus refuses a %s that is not UTF-8', async ([key, code]) => {
  const ada = await member(await sharedApp())
  const bytes = base64(Buffer.from('caf\xe9.jpg', 'latin1'))
  const name = key === 'filename' ? '' : `filename ${base64(Buffer.from('a.jpg'))},`
  const headers = { 'tus-resumable': '1.0.0', 'upload-length': '1', 'upload-metadata': `${name}${key} ${bytes}` }
  const answer = await ada.request('/v1/uploads', { method: 'POST', headers })
  if (code) expect(answer).toBeProblem(400, code)
  else expect(answer.status).toBe(201)
})
