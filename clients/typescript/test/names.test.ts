/** Names that a URL cannot have. */
import { expect, it } from 'vitest'
import { appForMany } from '../../../test/support/app.ts'
import { all, codeOf, signedIn } from './support.ts'

const app = appForMany()
const jpeg = { type: 'image/jpeg' }

it.each(['.', '..', 'half \ud83d.jpg'])('the name %j is refused, and no request is for another file', async (name) => {
  const { client } = await signedIn(await app())
  await client.upload(Buffer.from('sand'), { name: 'thumbnail' })
  const refused = [
    client.upload(Buffer.from('sea'), { name }),
    client.upload(Buffer.from('sea'), { name, onConflict: 'rename' }),
    client.download(name),
    client.update(name, { takenAt: null }),
    client.rename(name, 'beach.jpg'),
    client.remove(name),
    client.thumbnail.get(name),
    client.thumbnail.put(name, Buffer.from('small'), jpeg),
    client.thumbnail.remove(name),
  ]
  expect(await Promise.all(refused.map(codeOf))).toEqual(refused.map(() => 'invalid-name'))
  expect((await all(client.list())).map(({ name, size }) => [name, size])).toEqual([['thumbnail', 4]])
})

it.each(['.', '..'])('the id %j is refused', async (id) => {
  const { client } = await signedIn(await app())
  const refused = [
    client.sessions.end(id),
    client.trash.restore(id),
    client.trash.remove(id),
    client.uploads.cancel(id),
  ]
  expect(await Promise.all(refused.map(codeOf))).toEqual(refused.map(() => 'invalid-name'))
})
