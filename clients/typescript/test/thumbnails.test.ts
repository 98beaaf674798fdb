import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { appForMany } from '../../../test/support/app.ts'
import { codeOf, signedIn } from './support.ts'

const app = appForMany()

it('a thumbnail is stored, read and removed', async () => {
  const { client } = await signedIn(await app())
  const picture = randomBytes(5000)
  const { file } = await client.upload(randomBytes(100), { name: 'beach.jpg' })
  await client.thumbnail.put('beach.jpg', new Blob([picture], { type: 'image/webp' }), { ifMatch: `"${file.sha256}"` })

  const tag = (await client.find('beach.jpg'))?.thumbnail
  expect(tag).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
  const got = await client.thumbnail.get('beach.jpg', { tag })
  expect([got.type, Buffer.from(await got.arrayBuffer()).equals(picture)]).toEqual(['image/webp', true])
  await client.thumbnail.remove('beach.jpg')
  expect(await codeOf(client.thumbnail.get('beach.jpg'))).toBe('thumbnail-not-found')
})

it('a thumbnail needs its type, and the version that it is of', async () => {
  const { client } = await signedIn(await app())
  await client.upload(randomBytes(100), { name: 'beach.jpg' })
  const put = (options: { type?: string; ifMatch?: string }) =>
    codeOf((async () => client.thumbnail.put('beach.jpg', randomBytes(10), options))())
  expect(await put({})).toBe('unsupported-media-type')
  expect(await put({ type: 'text/html' })).toBe('unsupported-media-type')
  expect(await put({ type: 'image/jpeg', ifMatch: '"another"' })).toBe('precondition-failed')
})
