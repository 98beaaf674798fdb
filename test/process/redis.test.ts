/** Redis over TLS, and what a server says of it. */
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder, testApp } from '../support/app.ts'
import { certFile } from '../support/mail.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { describeRedis, newDatabase } from '../support/redis.ts'

/** TLS before the real server; `names` are those by which clients asked for it. */
async function overTls() {
  const { hostname, port, pathname } = new URL(await newDatabase())
  const names: unknown[] = []
  const key = readFileSync(join(import.meta.dirname, '..', 'support', 'tls-key.pem'))
  const server = createServer({ key, cert: readFileSync(certFile) }, (socket) => {
    names.push(socket.servername)
    const upstream = connect(Number(port), hostname)
    socket.on('error', () => {}).pipe(upstream)
    upstream.on('error', () => {}).pipe(socket)
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  onTestFinished(() => void server.close())
  const at = (host: string) => `rediss://${host}:${(server.address() as AddressInfo).port}${pathname}`
  return { at, names }
}

describeRedis('a server with Redis over TLS', () => {
  it.each([
    ['localhost', 'localhost'],
    ['0.0.0.0', false],
  ])('uses it at %s where it can verify its certificate', async (host, name) => {
    const { at, names } = await overTls()
    const server = serverProcess(await temporaryFolder(), { REDIS_URL: at(host), NODE_EXTRA_CA_CERTS: certFile })
    await signedIn(server)
    expect((await server.request('/health/ready')).status).toBe(200)
    // One connection for commands, and one that listens.
    expect(names).toEqual([name, name])
    expect(server.output()).toContain('pending PINs and counts in Redis')
    expect(server.output()).not.toContain('rediss://')
    expect(await server.stop('SIGTERM')).toBe(0)
  })

  it('does not use one whose certificate nobody vouches for', async () => {
    const { at, names } = await overTls()
    const app = await testApp({ REDIS_URL: at('localhost') })
    expect(await app.request('/health/ready')).toBeProblem(503, 'not-ready')
    expect(names).toEqual([])
    expect(app.log.join('\n')).toContain('Redis does not answer (DEPTH_ZERO_SELF_SIGNED_CERT)')
  })
})

describeRedis('a server whose Redis lets nobody in', () => {
  it('says so at its start, without the password', async () => {
    const REDIS_URL = (await newDatabase()).replace('//', '//nobody:hunter2@')
    const server = serverProcess(await temporaryFolder(), { REDIS_URL })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('REDIS_URL cannot be used; its server says: WRONGPASS')
    expect(server.output()).not.toContain('hunter2')
  })
})
