/** Connections of one network that send at the same moment. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:tls'
import { expect, it } from 'vitest'
import { certificateIn } from '../../src/adapters/disk/certificate.ts'
import { READ_AT_ONCE } from '../../src/plugins/connections/reading-turns.ts'
import { temporaryFolder, testApp } from '../support/app.ts'
import { newCertificate } from '../support/certificates.ts'
import { iteration } from '../support/iteration.ts'
import { head, wire } from '../support/wire.ts'

it.each([
  ['have few requests parsed in an iteration', head('GET /health/live').repeat(4), 4],
  [
    'have few bodies in crumbs parsed in an iteration',
    `${head('POST /v1/users', { 'transfer-encoding': 'chunked' })}${'1\r\nx\r\n'.repeat(9)}`,
    1,
  ],
])('%s, and all are answered', async (_that, bytes, each) => {
  const app = await testApp()
  const count = 3 * READ_AT_ONCE
  const crowd = Array.from({ length: count }, () => wire(app.url))
  await expect.poll(() => app.connections.length).toBe(count)
  const parsed = new Map<number, number>()
  app.server.on('request', () => void parsed.set(iteration(), (parsed.get(iteration()) ?? 0) + 1))
  for (const { socket } of crowd) socket.write(bytes)
  const answers = () => crowd.reduce((sum, { received }) => sum + received().split('HTTP/1.1 ').length - 1, 0)
  await expect.poll(answers).toBe(each * count)
  // The connection that brings the last one brings the rest of its own.
  expect(Math.max(...parsed.values())).toBeLessThan(READ_AT_ONCE + each)
  for (const { socket } of crowd) socket.destroy()
})

it.each([
  ['pieces of bodies', 2000],
  ['ends of bodies', 3000],
])('have few %s in an iteration', async (_what, sent) => {
  const app = await testApp()
  const crowd = Array.from({ length: 3 * READ_AT_ONCE }, () => wire(app.url))
  await expect.poll(() => app.connections.length).toBe(crowd.length)
  let requests = 0
  const heard = new Map<number, Set<IncomingMessage>>()
  app.server.on('request', (request: IncomingMessage) => {
    requests += 1
    const push = request.push.bind(request)
    request.push = (chunk: Buffer | null) => {
      heard.set(iteration(), (heard.get(iteration()) ?? new Set()).add(request))
      return push(chunk)
    }
  })
  for (const { socket } of crowd) socket.write(head('POST /v1/users', { 'content-length': 3000 }))
  await expect.poll(() => requests).toBe(crowd.length)
  for (const { socket } of crowd) socket.write('x'.repeat(sent))
  await expect.poll(() => [...heard.values()].reduce((sum, { size }) => sum + size, 0)).toBe(crowd.length)
  expect(Math.max(...[...heard.values()].map(({ size }) => size))).toBeLessThanOrEqual(READ_AT_ONCE)
  for (const { socket } of crowd) socket.destroy()
})

it.each([
  ['heads that do not end', head('GET /health/live').slice(0, -2) + 'a:\r\n'.repeat(3000)],
  ['heads that end in a byte that may not be there', `${head('GET /health/live').slice(0, -2)}a\0`],
  ['tunnels', head('CONNECT vault.example:443')],
])('have few %s parsed in an iteration', async (_what, bytes) => {
  const app = await testApp()
  const crowd = Array.from({ length: 3 * READ_AT_ONCE }, () => wire(app.url))
  await expect.poll(() => app.connections.length).toBe(crowd.length)
  const other = wire(app.url, '127.0.0.2')
  await expect.poll(() => app.connections.length).toBe(crowd.length + 1)
  const read = () => app.connections.filter(({ bytesRead }) => bytesRead > 0).length
  const reads: number[] = []
  const watch = () => {
    reads.push(read())
    if (reads.at(-1) !== crowd.length) setImmediate(watch)
  }
  for (const { socket } of crowd) socket.write(bytes)
  watch()
  await expect.poll(() => reads.at(-1)).toBe(crowd.length)
  const most = Math.max(...reads.map((now, n) => now - (reads[n - 1] ?? 0)))
  expect(most).toBeLessThanOrEqual(READ_AT_ONCE)
  for (const { socket } of [...crowd, other]) socket.destroy()
})

it('wait for each other, and not for those of another network', async () => {
  const app = await testApp()
  const crowd = Array.from({ length: 3 * READ_AT_ONCE }, () => wire(app.url))
  await expect.poll(() => app.connections.length).toBe(crowd.length)
  const other = wire(app.url, '127.0.0.2')
  await expect.poll(() => app.connections.length).toBe(crowd.length + 1)
  const order: string[] = []
  app.server.on('request', ({ url }) => void order.push(url))
  for (const { socket } of [...crowd, other])
    socket.write(head(`GET ${socket === other.socket ? '/v1/me' : '/health/live'}`))
  await expect.poll(() => order.length).toBe(crowd.length + 1)
  expect(order.indexOf('/v1/me')).toBeLessThanOrEqual(READ_AT_ONCE)
  for (const { socket } of [...crowd, other]) socket.destroy()
})

it('have few requests parsed in an iteration over TLS, too', async () => {
  const { cert, key } = newCertificate(await temporaryFolder())
  const tls = { read: certificateIn(cert, key), rereadMs: 60_000 }
  const app = await testApp({ TLS_CERT: cert, TLS_KEY: key }, undefined, { tls })
  const to = { host: '127.0.0.1', port: Number(new URL(app.url).port), rejectUnauthorized: false }
  const crowd = Array.from({ length: 3 * READ_AT_ONCE }, () => connect(to))
  await Promise.all(crowd.map((socket) => once(socket, 'secureConnect')))
  const parsed = new Map<number, number>()
  app.server.on('request', () => void parsed.set(iteration(), (parsed.get(iteration()) ?? 0) + 1))
  const answered = Promise.all(crowd.map((socket) => once(socket, 'data')))
  for (const socket of crowd) socket.write(head('GET /health/live'))
  await answered
  // Bytes that are decrypted already come as soon as a connection is read again.
  expect(Math.max(...parsed.values())).toBeLessThanOrEqual(2 * READ_AT_ONCE)
  for (const socket of crowd) socket.destroy()
})
