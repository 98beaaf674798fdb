/** The cookie in a real browser: pages of the server use it, and pages of other origins can do nothing with it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { newDeviceId, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { launch } from '../support/browser.ts'
import { newCertificate } from '../support/certificates.ts'

/** A name for which browsers send no Fetch Metadata over plain HTTP, as for every host in a local network. */
const PLAIN_HOST = 'vault.test'
const IGNORED = 'The Cross-Origin-Opener-Policy header has been ignored'

it.each([
  ['over TLS', { tls: true, host: '127.0.0.1' }],
  ['over plain HTTP on the same machine', { tls: false, host: '127.0.0.1' }],
  ['over plain HTTP in a network, where browsers do not tell the site', { tls: false, host: PLAIN_HOST }],
])('counts for pages of the server alone, %s', async (_how, { tls, host }) => {
  const app = await testApp(tls ? await certificate() : {})
  const vault = app.url.replace('127.0.0.1', host)
  const context = await (await browser()).newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    // Chromium says so of every page over plain HTTP that has this header.
    if (message.type() === 'error' && !message.text().startsWith(IGNORED)) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(`${vault}/docs`)

  const { userId } = await signIn(page)
  expect(await json(page, 'GET', '/v1/me')).toMatchObject({ status: 200, body: { userId } })
  expect(await page.evaluate(PUT_PICTURE)).toBe(201)
  expect(await page.evaluate('document.cookie')).toBe('')
  expect(await width(page, `${vault}/v1/files/beach.png?disposition=inline`)).toBe(300)
  expect(complaints).toEqual([])

  // A script in the web vault cannot make a stored file a script, a style or a worker of the page.
  const vaultPage = await context.newPage()
  await vaultPage.goto(`${vault}/`)
  const status = (name: string, options: object) =>
    vaultPage.evaluate(`fetch('/v1/files/${name}', ${JSON.stringify(options)}).then(({ status }) => status)`)
  for (const [name, headers] of STORED) expect(await status(name, { method: 'PUT', headers, body: '/**/' })).toBe(201)
  expect(await vaultPage.evaluate(RUN_FILES)).toEqual(new Array(5).fill('refused'))
  for (const [name] of STORED) expect(await status(name, { method: 'DELETE' })).toBe(204)
  await vaultPage.close()

  // Another port of the same host is the same site, so the browser sends it the cookie. `localhost` is another site.
  for (const otherHost of [host, 'localhost']) {
    const others = await context.newPage()
    await others.goto((await otherOrigin()).replace('127.0.0.1', otherHost))
    const before = app.log.length
    expect(await others.evaluate(attack(vault))).toEqual(new Array(6).fill('nothing'))
    expect(await width(others, `${vault}/v1/files/beach.png?disposition=inline`)).toBe(0)
    const [answer] = await Promise.all([others.waitForResponse(`${vault}/v1/files`), others.evaluate(postForm(vault))])
    // With the cookie or without.
    expect(answer.status()).toBe(403)
    expect('cookie' in (await answer.request().allHeaders())).toBe(otherHost === host && !tls)
    expect(changes(app, before)).toEqual([])
  }
  expect(await json(page, 'GET', '/v1/files')).toMatchObject({ body: { files: [{ name: 'beach.png' }] } })

  expect(await json(page, 'DELETE', '/v1/sessions/current')).toMatchObject({ status: 204 })
  expect(await context.cookies()).toEqual([])
  expect(await json(page, 'GET', '/v1/me')).toMatchObject({ status: 401 })
})

/** In the page of the server: stores an empty PNG of 300 by 150 pixels. */
const PUT_PICTURE = `(async () => {
  const picture = await new Promise((resolve) => document.createElement('canvas').toBlob(resolve))
  const { status } = await fetch('/v1/files/beach.png', { method: 'PUT', body: picture })
  return status
})()`

const STORED: [name: string, headers: Record<string, string>][] = [
  ['a.js', { 'content-type': 'text/javascript' }],
  ['a.css', { 'content-type': 'text/css' }],
]

/** In the page of the server: every way to run a stored file. */
const RUN_FILES = `(() => {
  const loaded = (tag, fields) => new Promise((resolve) => {
    const element = Object.assign(document.createElement(tag), fields)
    element.onload = () => resolve('loaded')
    element.onerror = () => resolve('refused')
    document.head.append(element)
  })
  const running = new Promise((resolve) => {
    try {
      const worker = new Worker('/v1/files/a.js')
      worker.onerror = () => resolve('refused')
      setTimeout(resolve, 2000, 'running')
    } catch {
      resolve('refused')
    }
  })
  const refused = (attempt) => attempt.then(() => 'loaded', () => 'refused')
  return Promise.all([
    loaded('script', { src: '/v1/files/a.js' }),
    loaded('link', { rel: 'stylesheet', href: '/v1/files/a.css' }),
    refused(import('/v1/files/a.js')),
    running,
    navigator.serviceWorker ? refused(navigator.serviceWorker.register('/v1/files/a.js')) : 'refused',
  ])
})()`

/** In a page of another origin: every way of a script to read or to change something. The result is what it learns. */
const attack = (vault: string) => `(async () => {
  const tries = [
    ['/v1/me', { credentials: 'include' }],
    ['/v1/files/beach.png', { credentials: 'include', method: 'DELETE' }],
    ['/v1/users', { credentials: 'include', method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }],
    ['/v1/me', { credentials: 'include', mode: 'no-cors' }],
    ['/v1/trash/x/restore', { credentials: 'include', mode: 'no-cors', method: 'POST' }],
    ['/v1/uploads', { credentials: 'include', mode: 'no-cors', method: 'POST', body: 'bytes' }],
  ]
  const learnt = []
  for (const [path, options] of tries) {
    learnt.push(await fetch('${vault}' + path, options).then(({ type, status }) => type + ' ' + status, () => 'nothing'))
  }
  return learnt
})()`

/** In a page of another origin: sends a form with a file, and so goes to the answer. */
const postForm = (vault: string) => `(() => {
  const form = Object.assign(document.createElement('form'), {
    method: 'post', enctype: 'multipart/form-data', action: '${vault}/v1/files',
  })
  const files = new DataTransfer()
  files.items.add(new File(['bytes'], 'planted.jpg'))
  form.append(Object.assign(document.createElement('input'), { type: 'file', name: 'file', files: files.files }))
  document.body.append(form)
  form.submit()
})()`

/** How wide a picture is that the page shows; 0 if it cannot show it. */
function width(page: Page, url: string): Promise<unknown> {
  return page.evaluate(`new Promise((resolve) => {
    const picture = new Image()
    picture.onload = () => resolve(picture.naturalWidth)
    picture.onerror = () => resolve(0)
    picture.src = '${url}'
  })`)
}

/** A request of the page's own script. */
async function json(page: Page, method: string, path: string, sent?: object) {
  const options = {
    method,
    ...(sent && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(sent) }),
  }
  const answer =
    await page.evaluate(`fetch(${JSON.stringify(path)}, ${JSON.stringify(options)}).then(async (answer) => {
    const text = await answer.text()
    return { status: answer.status, body: text && JSON.parse(text) }
  })`)
  return answer as { status: number; body: Record<string, unknown> }
}

/** The requests since then that were carried out, though they change something. */
function changes({ log }: TestApp, from: number): unknown[] {
  const requests = log.slice(from).map((line) => JSON.parse(line) as { method?: string; status?: number })
  return requests.filter(
    ({ method = 'GET', status = 0 }) => !['GET', 'HEAD', 'OPTIONS'].includes(method) && status < 400,
  )
}

/** An empty page of another origin. */
async function otherOrigin(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>Other</title><p>Another origin')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function browser() {
  const launched = await launch([`--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`])
  onTestFinished(() => launched.close())
  return launched
}

async function certificate() {
  const { cert, key } = newCertificate(await temporaryFolder())
  return { TLS_CERT: cert, TLS_KEY: key }
}

/** Registers and signs in with the page's own `fetch`. */
async function signIn(page: Page): Promise<{ userId: string }> {
  const deviceId = newDeviceId()
  const registered = await json(page, 'POST', '/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId })
  const { status, body } = await json(page, 'POST', '/v1/sessions', {
    deviceId,
    pin: registered.body.pin,
    cookie: true,
  })
  expect([status, Object.keys(body)]).toEqual([201, ['sessionId', 'userId', 'deviceId', 'expiresAt']])
  return body as { userId: string }
}
