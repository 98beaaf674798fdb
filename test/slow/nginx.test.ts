/** The memory of nginx as it is shipped: 1 GiB passes, both ways, is never held, in memory or on disk; nor can clients fill the memory. */
import { once } from 'node:events'
import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { MiB, ONE_GIB } from '../support/film.ts'
import { describeNginx, flood, type Nginx, nginxBefore } from '../support/nginx.ts'
import { serverProcess, signedIn } from '../support/process.ts'

const { sizeBytes, sha256, blocks, compare, slice } = ONE_GIB

function* gibibyte() {
  // Small enough for the client's share of HTTP/2.
  for (const block of blocks()) for (let at = 0; at < MiB; at += 65_536) yield block.subarray(at, at + 65_536)
}

function expectWhole(url: string, headers: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    httpsRequest(url, { headers, agent: false, rejectUnauthorized: false }, (response) => {
      pipeline(response, compare).then(resolve, reject)
    }).end()
  })
}

/** Answers the status; `read` gets the body. */
async function overHttp2(
  nginx: Nginx,
  fields: Record<string, string>,
  read: (bytes: AsyncIterable<Buffer>) => Promise<unknown>,
  body?: Readable,
) {
  const session = connect(nginx.url, { rejectUnauthorized: false })
  onTestFinished(() => session.destroy())
  const request = session.request(fields, { endStream: !body })
  body?.pipe(request)
  const [head] = await once(request, 'response')
  await pipeline(request, read)
  session.close()
  return head[':status']
}

describeNginx('1 GiB behind nginx', () => {
  it('goes in and comes out over HTTP/1.1 and HTTP/2, in memory that does not grow with it', async () => {
    const server = serverProcess(await temporaryFolder(), { TRUST_PROXY: '127.0.0.1' })
    const nginx = await nginxBefore(await server.url)
    const headers = await signedIn(nginx)
    await nginx.request('/v1/files/warm-up', { method: 'PUT', headers, body: slice(0, MiB - 1) })
    const before = { server: server.memory().now, nginx: nginx.peakMemory() }

    const film = { method: 'PUT', headers, body: Readable.from(gibibyte()) }
    expect((await nginx.request('/v1/files/film', film)).body).toMatchObject({ size: sizeBytes, sha256 })
    await expectWhole(`${nginx.url}/v1/files/film`, headers)

    const path = '/v1/files/film-2'
    const put = { ':method': 'PUT', ':path': path, ...headers }
    expect(await overHttp2(nginx, put, buffer, Readable.from(gibibyte()))).toBe(201)
    expect(await overHttp2(nginx, { ':path': path, ...headers }, compare)).toBe(200)

    const grown = { server: server.memory().peak - before.server, nginx: nginx.peakMemory() - before.nginx }
    process.stderr.write(`by MiB: server ${grown.server / MiB}, nginx ${grown.nginx / MiB}\n`)
    expect(grown.server / MiB).toBeLessThan(100)
    expect(grown.nginx / MiB).toBeLessThan(10)
    expect(nginx.written() / MiB).toBeLessThan(10)
  }, 600_000)
})

describeNginx('clients that read nothing', () => {
  it('of many addresses take a bounded part of the memory, and leave a way in for others', async () => {
    const server = serverProcess(await temporaryFolder(), { TRUST_PROXY: '127.0.0.1' })
    const nginx = await nginxBefore(await server.url)
    const before = nginx.peakMemory()
    // Of each address more than its share.
    const fields = { ':path': '/docs/static/swagger-ui-bundle.js' }
    const floods = []
    for (let n = 0; n < 3; n += 1) floods.push(await flood(nginx.url, 2000, { from: `127.0.1.${n + 1}`, fields }))
    await expect.poll(async () => (await nginx.request('/health/live', { from: '127.0.2.1' })).status).toBe(200)
    const grown = (nginx.peakMemory() - before) / MiB
    process.stderr.write(`by MiB: ${grown}; ${JSON.stringify(floods.map(({ tally }) => tally))}\n`)
    expect(grown).toBeLessThan(400)
  }, 120_000)
})
