import { rm } from 'node:fs/promises'
import { Agent } from 'node:http'
import { describe, expect, it } from 'vitest'
import { VERSION } from '../../src/version.ts'
import { testApp } from '../support/app.ts'

describe('health', () => {
  it('is alive and ready', async () => {
    const app = await testApp()
    const live = await app.request('/health/live')
    expect([live.status, live.body]).toEqual([200, { status: 'ok', version: VERSION }])
    const ready = await app.request('/health/ready')
    expect([ready.status, ready.body]).toEqual([200, { status: 'ok' }])
  })

  it('is not ready without its uploads folder, and says so', async () => {
    const app = await testApp()
    await rm(app.config.UPLOADS_DIR, { recursive: true })
    const answer = await app.request('/health/ready')
    expect(answer).toBeProblem(503, 'not-ready')
    expect(answer.body).toMatchObject({ detail: 'Not working: uploads.' })
    expect(answer.headers['retry-after']).toBe('5')
    expect((await app.request('/health/live')).status).toBe(200)
  })

  it('behind a proxy a server that closes still takes a request on each open connection, as its last', async () => {
    const app = await testApp({ TRUST_PROXY: '127.0.0.1' }, undefined, { lingerMs: 300 })
    const agent = new Agent({ keepAlive: true })
    const open = await app.request('/health/live', { agent })
    const closing = app.close()
    await expect.poll(() => app.request('/health/live').catch(({ code }) => code)).toBe('ECONNREFUSED')
    const answer = await app.request('/health/ready', { agent })
    expect(answer).toBeProblem(503, 'not-ready')
    expect([open.headers.connection, answer.headers.connection]).toEqual(['keep-alive', 'close'])
    await closing
  })

  it('is not ready while the server closes', async () => {
    const app = await testApp()
    app.drain()
    const answer = await app.request('/health/ready')
    expect(answer).toBeProblem(503, 'not-ready')
    expect(answer.body).toMatchObject({ detail: 'Not working: the server is closing.' })
  })
})
