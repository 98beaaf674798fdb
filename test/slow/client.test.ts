/** The client with more files and bytes than the quick tests have. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { expect, it } from 'vitest'
import { hexOf } from '../../clients/typescript/src/encoding.ts'
import { createClient, memoryToken } from '../../clients/typescript/src/node.ts'
import { sha256 } from '../../clients/typescript/src/sha256.ts'
import { backupCommand, fill, sentIn } from '../../clients/typescript/test/backup-process.ts'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess } from '../support/process.ts'

const FILES = 1000
const FILE_BYTES = 30_000
const STOPS = 6
const MOST_BETWEEN_STOPS = 150
const start = backupCommand()

it(`a backup of ${FILES} files that is stopped ${STOPS} times sends each file once`, async () => {
  const server = serverProcess(await temporaryFolder(), { RATE_LIMIT: 'off' })
  const [photos, config] = [await temporaryFolder(), await temporaryFolder()]
  for (let n = 0; n < FILES; n += 1) await fill(photos, `${n % 10}/photo-${n}.jpg`, FILE_BYTES)
  await fill(photos, 'film.mp4', 40 * FILE_BYTES * 4)
  const client = await signedIn(await server.url)
  let args = [photos, '--pair', (await client.pair()).text]

  let lines = 0
  for (let stop = 0; stop < STOPS; stop += 1) {
    const until = lines + randomInt(1, MOST_BETWEEN_STOPS)
    const run = start(config, args, () => {
      lines += 1
      if (lines === until) run.kill(stop % 2 === 0 ? 'SIGKILL' : 'SIGINT')
    })
    await run.ended
    args = [photos]
  }
  const before = (await client.account.get()).usage.files
  const last = await start(config, args).ended

  expect(last.code).toBe(0)
  expect(before).toBeLessThan(FILES)
  expect(sentIn(last)).toBe(FILES + 1 - before)
  const digests = new Set<string>()
  for await (const file of client.list()) digests.add(file.sha256)
  const { usage } = await client.account.get()
  expect([digests.size, usage.files, usage.trashFiles]).toEqual([FILES + 1, FILES + 1, 0])
  expect(await client.uploads.list()).toEqual([])
}, 600_000)

it('the SHA-256 in TypeScript counts more than 512 MiB', () => {
  const piece = randomBytes(1 << 20)
  const [ours, theirs] = [sha256(), createHash('sha256')]
  for (let i = 0; i < 513; i += 1) {
    ours.update(piece)
    theirs.update(piece)
  }
  expect(hexOf(ours.digest())).toBe(theirs.digest('hex'))
}, 300_000)

async function signedIn(baseUrl: string) {
  const client = createClient({ baseUrl, token: memoryToken() })
  const registered = await client.register({ name: 'Ada', email: 'ada@example.org' })
  if (!('pin' in registered)) throw new Error('the server shows no PINs')
  await client.signIn({ deviceId: registered.deviceId, pin: registered.pin })
  return client
}
