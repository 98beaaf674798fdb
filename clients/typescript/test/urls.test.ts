/** A page that has signed in with a cookie: the addresses that its elements load, and whom its requests are for. */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { appForMany, newDeviceId } from '../../../test/support/app.ts'
import { createClient, etagOf } from '../src/index.ts'
import { all, codeOf, MiB, signedIn } from './support.ts'

const app = appForMany()
const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' }

/** The vault in a page that has signed in with a cookie, and what the browser does with an address. */
async function page() {
  const { url } = await app()
  const { client: owner } = await signedIn({ url })
  const deviceId = newDeviceId()
  const { pin } = (await owner.requestPin({ deviceId })) as { pin: string }
  let cookie = ''
  const asBrowser: typeof fetch = async (input, init) => {
    const response = await fetch(input, { ...init, headers: { ...init?.headers, ...SAME_ORIGIN } })
    cookie = response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? cookie
    return response
  }
  const client = createClient({ baseUrl: url, fetch: asBrowser })
  await client.signIn({ deviceId, pin, cookie: true })
  const load = async (address: string) => {
    const response = await fetch(address, { headers: { ...SAME_ORIGIN, cookie } })
    return {
      response,
      bytes: Buffer.from(await response.arrayBuffer()),
      field: (name: string) => response.headers.get(name),
    }
  }
  /** Another tab of the same browser, whose user's id may be given. */
  const tab = (user?: () => string | null) => {
    const withCookie: typeof fetch = (input, init) =>
      fetch(input, { ...init, headers: { ...init?.headers, ...SAME_ORIGIN, cookie } })
    return createClient({ baseUrl: url, fetch: withCookie, ...(user && { user }) })
  }
  return { owner, client, load, tab }
}

it('a picture of any name is shown or saved', async () => {
  const { owner, client, load } = await page()
  const picture = randomBytes(1000)
  await owner.upload(picture, { name: 'été #1?.jpg' })
  const shown = await load(client.urls.file('été #1?.jpg', { inline: true }))
  const saved = await load(client.urls.file('été #1?.jpg'))
  expect([shown, saved].map(({ bytes }) => bytes.equals(picture))).toEqual([true, true])
  expect([shown, saved].map(({ field }) => field('content-disposition')?.split(';', 1)[0])).toEqual([
    'inline',
    'attachment',
  ])
})

it('a thumbnail may be kept for good under its tag', async () => {
  const { owner, client, load } = await page()
  const picture = randomBytes(1000)
  await owner.upload(randomBytes(10), { name: 'beach & sea.jpg' })
  await owner.thumbnail.put('beach & sea.jpg', picture, { type: 'image/jpeg' })
  const tag = (await owner.find('beach & sea.jpg'))?.thumbnail ?? null
  const { bytes, field } = await load(client.urls.thumbnail('beach & sea.jpg', tag))
  expect([bytes.equals(picture), field('cache-control')]).toEqual([true, 'private, max-age=31536000, immutable'])
})

it('a thumbnail is for the content that the page has seen', async () => {
  const { owner } = await page()
  const seen = (await owner.upload(Buffer.from('sand'), { name: 'beach.jpg' })).file
  const thumbnail = { type: 'image/jpeg', ifMatch: etagOf(seen) }
  await owner.thumbnail.put('beach.jpg', randomBytes(10), thumbnail)
  await owner.upload(Buffer.from('sea'), { name: 'beach.jpg', onConflict: 'replace' })
  const late = owner.thumbnail.put('beach.jpg', randomBytes(10), thumbnail)
  await expect(late).rejects.toMatchObject({ code: 'precondition-failed' })
})

it('chosen files are one zip', async () => {
  const { owner, client, load } = await page()
  const [{ file }, other] = [
    await owner.upload(Buffer.from('sand'), { name: 'beach.txt' }),
    await owner.upload(Buffer.from('sea'), { name: 'sea.txt' }),
  ]
  const { response, bytes, field } = await load(client.urls.export([file.id]))
  expect([response.status, field('content-disposition')]).toEqual([200, expect.stringContaining('-1-file.zip')])
  expect([bytes.includes('beach.txt'), bytes.includes('sea.txt')]).toEqual([true, false])
  expect((await load(client.urls.export([file.id, other.file.id]))).bytes.includes('sea.txt')).toBe(true)
})

it('everything is one zip', async () => {
  const { owner, client, load } = await page()
  await owner.upload(Buffer.from('sand'), { name: 'beach.txt' })
  const { bytes, field } = await load(client.urls.export())
  expect([field('content-type'), bytes.includes('files/beach.txt')]).toEqual(['application/zip', true])
})

it('a request is for the user whom the page shows', async () => {
  const { owner, tab } = await page()
  const { userId } = await owner.account.get()
  let shown: string | null = userId
  const client = tab(() => shown)
  await client.upload(Buffer.from('sand'), { name: 'beach.txt' })
  shown = 'another'
  const large = randomBytes(5 * MiB)
  const refused = [
    client.account.get(),
    client.upload(Buffer.from('sea'), { name: 'sea.txt' }),
    client.upload(large, { name: 'film' }),
    client.remove('beach.txt'),
    client.download('beach.txt'),
  ]
  expect(await Promise.all(refused.map(codeOf))).toEqual(refused.map(() => 'unauthorized'))
  shown = null
  expect((await all(client.list())).map(({ name }) => name)).toEqual(['beach.txt'])
  expect(await tab().account.get()).toMatchObject({ userId })
})
