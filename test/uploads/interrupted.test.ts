/** Uploads of tus whose last append has all its bytes, but no end: a client that asks for the offset sends nothing more. */
import { expect, it, onTestFinished } from 'vitest'
import { type Member, member, type TestApp, testApp } from '../support/app.ts'
import { appending, asking, beginning, toldOffset } from '../support/resuming.ts'
import { head, wire } from '../support/wire.ts'

const TUS = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }

async function begun(ada: Member, name: string): Promise<string> {
  const { path, call } = beginning('tus', name, { bytes: Buffer.from('sa'), isLast: false, size: 4 })
  return (await ada.request(path, call)).headers.location as string
}

/** Sends the other bytes, but not the end of the body. The connection hangs. */
function sendRest({ url }: TestApp, { token }: Member, upload: string) {
  const line = wire(url)
  onTestFinished(() => void line.socket.destroy())
  const fields = { ...TUS, authorization: `Bearer ${token}`, 'upload-offset': 2, 'transfer-encoding': 'chunked' }
  line.socket.write(`${head(`PATCH ${upload}`, fields)}2\r\nnd\r\n`)
}

const ask = (ada: Member, upload: string) => {
  const { path, call } = asking('tus', upload)
  return ada.request(path, call)
}

it('a complete upload becomes a file when its client asks for the offset', async () => {
  const app = await testApp()
  const ada = await member(app)
  const upload = await begun(ada, 'photo')
  sendRest(app, ada, upload)

  await expect.poll(async () => toldOffset(await ask(ada, upload))).toBe(4)
  expect((await ask(ada, upload)).headers['content-location']).toBe('/v1/files/photo')
  expect((await ada.get('photo')).body).toBe('sand')
})

it('the client is refused then, as at the append, and an append without bytes tries again', async () => {
  const app = await testApp()
  const ada = await member(app)
  const upload = await begun(ada, 'photo')
  await ada.put('photo', 'another')
  sendRest(app, ada, upload)

  await expect.poll(async () => (await ask(ada, upload)).status).toBe(409)
  await ada.request('/v1/files/photo', { method: 'DELETE' })
  const { path, call } = appending('tus', upload, 4, { bytes: Buffer.alloc(0), isLast: true })
  expect((await ada.request(path, call)).status).toBe(204)
  expect((await ada.get('photo')).body).toBe('sand')
})
