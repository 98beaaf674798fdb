import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testApp } from '../support/app.ts'
import type { Call } from '../support/http.ts'

const FORGED = {
  'x-forwarded-for': '203.0.113.9',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'evil.example',
  forwarded: 'for=203.0.113.9;proto=https;host=evil.example',
  'x-real-ip': '203.0.113.9',
}
const OWN = { ip: '127.0.0.1', protocol: 'http', host: 'vault.example' }

describe('where a request came from', () => {
  it.each(['off', '10.0.0.0/8', '::1'])(
    'is the connection’s other end, whatever the request says, with %s',
    async (trusted) => {
      expect(await seenWith(trusted, FORGED)).toEqual(OWN)
    },
  )

  it.each([
    ['1', '203.0.113.9', '203.0.113.9'],
    ['1', '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['2', '198.51.100.1, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['3', '203.0.113.9', '203.0.113.9'],
    ['127.0.0.1', '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['127.0.0.0/8, 10.0.0.0/8', '198.51.100.1, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['127.0.0.0/8, 10.0.0.0/8', '10.0.0.7, 203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['127.0.0.1', '2001:db8::7', '2001:db8::7'],
    ['127.0.0.1, 2001:db8::/32', '203.0.113.9, 2001:db8::7', '203.0.113.9'],
    ['127.0.0.1', '::ffff:203.0.113.9', '::ffff:203.0.113.9'],
  ])('is what trusted proxies say: with %s, %s is from %s', async (trusted, chain, ip) => {
    expect(await seenWith(trusted, { 'x-forwarded-for': chain })).toMatchObject({ ip })
  })

  it('is put together of every line that proxies added', async () => {
    const seen = await seenWith('2', { 'x-forwarded-for': ['198.51.100.1', '203.0.113.9, 10.0.0.2'] })
    expect(seen).toMatchObject({ ip: '203.0.113.9' })
  })

  it.each([
    '',
    'unknown',
    '<script>',
    '203.0.113.9:4711',
    '999.1.1.1',
    "1' OR '1'='1",
    '203.0.113.9,',
    'x'.repeat(9000),
  ])('is always an address: %j is none', async (chain) => {
    expect(await seenWith('127.0.0.1', { 'x-forwarded-for': chain })).toMatchObject({ ip: '127.0.0.1' })
  })

  it('is found right of garbage, which a client may have written', async () => {
    const chain = '127.0.0.1, nonsense, 203.0.113.9, 127.0.0.2'
    expect(await seenWith('127.0.0.0/8', { 'x-forwarded-for': chain })).toMatchObject({ ip: '203.0.113.9' })
    expect(await seenWith('9', { 'x-forwarded-for': chain })).toMatchObject({ ip: '203.0.113.9' })
  })

  it('is over TLS where a trusted proxy says so, and only then is a browser told to stay there', async () => {
    const tls = { 'x-forwarded-proto': 'https' }
    const [trusting, not] = [await testApp({ TRUST_PROXY: '127.0.0.1' }), await testApp({ TRUST_PROXY: '10.0.0.0/8' })]
    const hsts = 'strict-transport-security'
    expect((await trusting.request('/v1/files', { headers: tls })).headers[hsts]).toBe('max-age=31536000')
    expect((await trusting.request('/v1/files')).headers).not.toHaveProperty(hsts)
    expect((await not.request('/v1/files', { headers: tls })).headers).not.toHaveProperty(hsts)
  })
})

/** What the server takes a request with these headers to be. */
async function seenWith(trusted: string, headers: Call['headers']) {
  const seen: Pick<FastifyRequest, 'ip' | 'protocol' | 'host'>[] = []
  const watch = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onResponse', async ({ ip, protocol, host }) => void seen.push({ ip, protocol, host }))
  }
  subscribe('fastify.initialization', watch)
  onTestFinished(() => void unsubscribe('fastify.initialization', watch))
  const app = await testApp({ TRUST_PROXY: trusted })
  unsubscribe('fastify.initialization', watch)
  await app.request('/health/live', { headers: { host: 'vault.example', ...headers } })
  await app.close()
  expect(seen).toHaveLength(1)
  return seen[0]
}
