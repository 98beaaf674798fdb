/** Lookups: the client sends no file twice, and says which local files can be deleted. */
import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { appForMany, DAY, testApp } from '../../../test/support/app.ts'
import { pathOf, spoil } from '../../../test/support/blobs.ts'
import { createClient } from '../src/node.ts'
import { MiB, signedIn } from './support.ts'

const app = appForMany()
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A client that counts the bytes that it sends. */
async function counting() {
  const { url } = await app()
  const { token } = await signedIn({ url })
  let sent = 0
  const counted: typeof fetch = (input, init) => {
    if (init?.method === 'PUT' || init?.method === 'PATCH') sent += (init.body as Uint8Array | undefined)?.length ?? 0
    return fetch(input, init)
  }
  const client = createClient({ baseUrl: url, token, fetch: counted })
  const sentBy = async (act: () => Promise<unknown>) => {
    sent = 0
    await act()
    return sent
  }
  return { client, sentBy }
}

describe('an upload of bytes that the vault has', () => {
  it.each([1000, 5 * MiB])('sends none of %i, also under another name', async (size) => {
    const { client, sentBy } = await counting()
    const bytes = randomBytes(size)
    expect(await sentBy(() => client.upload(bytes, { name: 'beach.jpg' }))).toBe(size)
    const again = await client.upload(bytes, { name: 'sea.jpg' })
    expect(again).toMatchObject({ outcome: 'found', file: { name: 'beach.jpg', state: 'live', sha256: digest(bytes) } })
    expect(await sentBy(() => client.upload(bytes, { name: 'sea.jpg' }))).toBe(0)
    expect(await sentBy(() => client.upload(bytes, { name: 'sea.jpg', ifStored: 'send' }))).toBe(size)
  })

  it('only in the trash sends them, unless it is told not to', async () => {
    const { client, sentBy } = await counting()
    const bytes = randomBytes(1000)
    await client.upload(bytes, { name: 'beach.jpg' })
    await client.remove('beach.jpg')
    const skipped = await client.upload(bytes, { name: 'beach.jpg', ifTrashed: 'skip' })
    expect(skipped).toMatchObject({ outcome: 'found', file: { state: 'trash' } })
    expect(await sentBy(() => client.upload(bytes, { name: 'beach.jpg' }))).toBe(1000)
  })
})

describe('the check before a phone deletes', () => {
  it('tells what is safe, file by file', async () => {
    const { client } = await signedIn(await app())
    const [live, trashed, unknown] = [randomBytes(100), randomBytes(100), randomBytes(100)]
    await client.upload(live, { name: 'live.jpg' })
    await client.upload(trashed, { name: 'trashed.jpg' })
    await client.remove('trashed.jpg')
    const files = [
      { file: live, id: 1 },
      { file: trashed, id: 2 },
      { sha256: digest(unknown), id: 3 },
    ]
    const summary = async (options = {}) =>
      (await client.freeSpaceCheck(files, options)).map(({ local, isSafe, state }) => [local.id, isSafe, state])

    expect(await summary()).toEqual([
      [1, true, 'live'],
      [2, false, 'trash'],
      [3, false, null],
    ])
    expect((await summary({ trashIsSafe: true }))[1]).toEqual([2, true, 'trash'])
  })

  it('asks for many files in batches', async () => {
    const { client } = await signedIn(await app())
    const files = Array.from({ length: 45 }, (_, i) => Buffer.from(`photo ${i}`))
    for (const [i, file] of files.entries()) await client.upload(file, { name: `photo-${i}` })
    const judged = await client.freeSpaceCheck(files.map((file) => ({ file })))
    expect(judged.filter(({ isSafe, verifiedAt }) => isSafe && verifiedAt !== null)).toHaveLength(45)
  })

  it('does not call safe what the server cannot read back', async () => {
    const own = await testApp()
    const { client } = await signedIn(own)
    const file = randomBytes(5000)
    await client.upload(file, { name: 'beach.jpg' })
    await spoil(await pathOf(own, await client.account.get(), 'beach.jpg'), () => randomBytes(5000))
    expect(await client.freeSpaceCheck([{ file }])).toMatchObject([{ isSafe: false }])
  })

  it('does not trust what the server read back long ago if the clock of the device is behind', async () => {
    const own = await testApp()
    own.clock.turn(100 * DAY)
    const { client } = await signedIn(own)
    const file = randomBytes(5000)
    await client.upload(file, { name: 'beach.jpg' })
    expect(await client.freeSpaceCheck([{ file }])).toMatchObject([{ isSafe: true }])
    await spoil(await pathOf(own, await client.account.get(), 'beach.jpg'), () => randomBytes(5000))
    own.clock.turn(10 * DAY)
    expect(await client.freeSpaceCheck([{ file }])).toMatchObject([{ isSafe: false }])
  })
})
