/** Trailer fields. */
import { expect, it } from 'vitest'
import { member, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const FIELD = 'a:\r\n'
const CHUNKED = { 'transfer-encoding': 'chunked' }

it('are not kept where there are thousands', async () => {
  const app = await testApp()
  const ada = await member(app)
  const parsed = new Promise<{ rawTrailers: string[] }>((resolve) => app.server.once('request', resolve))
  const line = wire(app.url)
  const fields = { ...CHUNKED, authorization: `Bearer ${ada.token}`, connection: 'close' }
  line.socket.write(`${head('PUT /v1/files/beach', fields)}4\r\nsand\r\n0\r\n${FIELD.repeat(2000)}\r\n`)
  await line.ended
  expect((await parsed).rawTrailers.length).toBeLessThan(300)
})

it('do not count for the next head of the connection', async () => {
  const app = await testApp()
  const ada = await member(app)
  const authorization = `Bearer ${ada.token}`
  const line = wire(app.url)
  line.socket.write(
    `${head('PUT /v1/files/beach', { ...CHUNKED, authorization })}4\r\nsand\r\n0\r\n${FIELD.repeat(50)}\r\n`,
  )
  await expect.poll(() => line.received()).toMatch(/^HTTP\/1\.1 201 /)
  line.socket.write(
    `GET /v1/files/beach HTTP/1.1\r\nHost: a\r\n${FIELD.repeat(97)}Authorization: ${authorization}\r\nConnection: close\r\n\r\n`,
  )
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 .*HTTP\/1\.1 200 .*sand$/s)
})
