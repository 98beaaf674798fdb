/** Trailer fields. */
import { expect, it } from 'vitest'
import { member, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const CHUNKED = { 'transfer-encoding': 'chunked' }

it('are dropped where there are many, and the next head of the connection is whole', async () => {
  const app = await testApp()
  const ada = await member(app)
  const kept: number[] = []
  app.server.on('request', (request) => request.on('end', () => kept.push(request.rawTrailers.length)))
  const line = wire(app.url)
  const authorization = `Bearer ${ada.token}`
  const many = 'a:\r\n'.repeat(90)
  line.socket.write(
    `${head('PUT /v1/files/beach', { ...CHUNKED, authorization })}4\r\nsand\r\n0\r\n${'a:\r\n'.repeat(9000)}\r\n`,
  )
  // The server would refuse it without the last field.
  line.socket.write(
    `GET /v1/files/beach HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${many}Authorization: ${authorization}\r\n\r\n`,
  )
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 .*HTTP\/1\.1 200 .*sand$/s)
  expect(kept[0]).toBeLessThan(100)
})
