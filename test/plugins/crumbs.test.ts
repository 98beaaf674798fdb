/** Bodies in very small pieces. */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { gatherCrumbs } from '../../src/plugins/connections/crumbs.ts'
import { member, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const CHUNKED = { 'transfer-encoding': 'chunked', connection: 'close' }

const crumbsOf = (text: string) => [...text].map((byte) => `1\r\n${byte}\r\n`).join('')

/** The pieces of the body that a handler gets which begins to read when all of it was received. `kept` gets those that wait for it. */
async function piecesOf(body: string, kept: Buffer[] = []): Promise<Buffer[]> {
  const server = createServer()
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const received = new Promise<IncomingMessage>((resolve) => {
    server.on('request', (request) => {
      const push = request.push.bind(request)
      request.push = (piece: Buffer | null) => {
        if (piece) kept.push(piece)
        return push(piece)
      }
      gatherCrumbs(request)
      resolve(request)
    })
  })
  const line = wire(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  line.socket.write(head('PUT /', CHUNKED) + body)
  const pieces: Buffer[] = []
  for await (const piece of await received) pieces.push(piece)
  line.socket.destroy()
  return pieces
}

it('are gathered, and arrive whole and in order', async () => {
  const text = Array.from({ length: 5000 }, (_, n) => n % 10).join('')
  const large = 'x'.repeat(3000)
  const pieces = await piecesOf(`${crumbsOf(text)}bb8\r\n${large}\r\n${crumbsOf(text)}0\r\n\r\n`)
  expect(Buffer.concat(pieces).toString()).toBe(text + large + text)
  expect(pieces.length).toBeLessThan(100)
})

it('pass as they come where there are few', async () => {
  expect((await piecesOf(`${crumbsOf('few')}0\r\n\r\n`)).map(String)).toEqual(['f', 'e', 'w'])
})

it('between larger pieces keep no more memory than they need', async () => {
  const pair = `1\r\nx\r\n400\r\n${'y'.repeat(1024)}\r\n`
  const kept: Buffer[] = []
  await piecesOf(`${crumbsOf('x'.repeat(64))}${pair.repeat(50)}0\r\n\r\n`, kept)
  // A piece keeps the whole memory that it is a part of.
  const memory = [...new Set(kept.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
  expect(memory).toBeLessThan(2 * Buffer.concat(kept).length)
})

it('of one connection make a file', async () => {
  const app = await testApp()
  const ada = await member(app)
  const text = 'sand'.repeat(2500)
  const line = wire(app.url)
  const authorization = `Bearer ${ada.token}`
  line.socket.write(`${head('PUT /v1/files/beach', { ...CHUNKED, authorization })}${crumbsOf(text)}0\r\n\r\n`)
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
  expect((await ada.get('beach')).body).toBe(text)
})

it('of many connections at once close some of them, and later connections have their bodies', async () => {
  const app = await testApp()
  const ada = await member(app)
  const lines = Array.from({ length: 20 }, () => wire(app.url, '127.0.0.2'))
  for (const { socket } of lines) socket.write(head('GET /health/live'))
  // So all of them are accepted.
  await Promise.all(lines.map(({ until }) => until('"ok"')))
  for (const { socket } of lines) socket.write(head('POST /v1/files', CHUNKED) + crumbsOf('x'.repeat(10_000)))
  const received = await Promise.all(lines.map(({ ended }) => ended))
  expect(received.some((text) => !text.includes(' 401 '))).toBe(true)
  for (let n = 0; n < 20; n += 1) {
    expect((await ada.request(`/v1/files/${n}`, { method: 'PUT', body: 'sand' })).status).toBe(201)
  }
})
