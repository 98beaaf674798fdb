import { expect, it } from 'vitest'
import { appForMany } from '../../../test/support/app.ts'
import { faultyProxy } from '../../../test/support/faulty-proxy.ts'
import { createClient, memoryToken } from '../src/node.ts'
import { codeOf, signedIn } from './support.ts'

const app = appForMany()

it('a device has the name that it gave', async () => {
  const { url } = await app()
  const { client } = await signedIn({ url })
  await createClient({ baseUrl: url }).signInWithPairing((await client.pair()).text, { deviceName: 'Ada’s tablet' })
  const names = (await client.sessions.list()).map(({ deviceName, current }) => [deviceName, current])
  expect(names.sort()).toEqual([
    [undefined, true],
    ['Ada’s tablet', false],
  ])
})

it('a page of the server’s own origin signs in with a cookie, and its script sees no token', async () => {
  const { url } = await app()
  const { client } = await signedIn({ url })
  const token = memoryToken()
  const page = createClient({ baseUrl: url, token, fetch: browserAt(url) })
  const session = await page.signInWithPairing((await client.pair()).text, { cookie: true })
  expect([session.token, token.get()]).toEqual([undefined, null])

  await page.upload(Buffer.from('sand'), { name: 'beach.txt' })
  expect(Buffer.from(await (await page.download('beach.txt')).bytes()).toString()).toBe('sand')
  await page.sessions.signOut()
  expect(await codeOf(page.account.get())).toBe('unauthorized')
})

it('a device whose session was ended elsewhere signs out, and forgets its token', async () => {
  const { url } = await app()
  const { client } = await signedIn({ url })
  const token = memoryToken()
  const tablet = createClient({ baseUrl: url, token })
  await tablet.signInWithPairing((await client.pair()).text)
  await client.sessions.endOthers()
  await tablet.sessions.signOut()
  expect(token.get()).toBeNull()
})

it('a device signs out even if the response is lost', async () => {
  const { port, hostname } = new URL((await app()).url)
  const proxy = await faultyProxy({ host: hostname, port: Number(port) })
  const { client, token } = await signedIn({ url: `http://127.0.0.1:${proxy.port}` })
  const lost = proxy.loseAnswerTo('DELETE /v1/sessions/current')
  await client.sessions.signOut()
  await lost
  expect(token.get()).toBeNull()
})

it('a page whose cookie is of another user does not sign that one out', async () => {
  const { url } = await app()
  const [{ client: ada }, { client: ben }] = [await signedIn({ url }), await signedIn({ url })]
  const browser = browserAt(url)
  const ofBen = createClient({ baseUrl: url, fetch: browser })
  await ofBen.signInWithPairing((await ben.pair()).text, { cookie: true })
  const { userId } = await ada.account.get()
  const ofAda = createClient({ baseUrl: url, fetch: browser, user: () => userId })
  expect(await codeOf(ofAda.sessions.signOut())).toBe('unauthorized')
  expect(await codeOf(ofBen.account.get())).toBe('none')
})

it('a page gets no response for a user who has left meanwhile, and tries nothing again', async () => {
  const { url } = await app()
  const { client: ada, token } = await signedIn({ url })
  const { userId } = await ada.account.get()
  for (const status of [200, 404, 503]) {
    let user: string | null = userId
    let sent = 0
    const page = createClient({
      ...{ baseUrl: url, token, user: () => user, retry: { baseMs: 1 } },
      async fetch(input, init) {
        sent += 1
        const response = await fetch(input, init)
        user = null
        return status === 200 ? response : new Response(null, { status })
      },
    })
    await expect(page.account.get()).rejects.toMatchObject({ name: 'AbortError' })
    expect(sent).toBe(1)
  }
})

/** A fetch with what a browser adds on a page of this origin. */
function browserAt(origin: string): typeof fetch {
  let cookie = ''
  return async (input, init) => {
    const headers = { ...(init?.headers as Record<string, string>), 'sec-fetch-site': 'same-origin', origin, cookie }
    const response = await fetch(input, { ...init, headers })
    const [given] = response.headers.getSetCookie()
    if (given !== undefined) cookie = /Max-Age=0/i.test(given) ? '' : (given.split(';')[0] ?? '')
    return response
  }
}
