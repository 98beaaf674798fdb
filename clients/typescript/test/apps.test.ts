/** Every line of docs/apps.md, as somebody types them. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { appForMany, temporaryFolder } from '../../../test/support/app.ts'
import { describeWithProgram } from '../../../test/support/programs.ts'
import type { Client } from '../src/node.ts'
import { blocksOf, run } from './pages.ts'
import { MiB, signedIn } from './support.ts'

const PAGE = 'docs/apps.md'
const app = appForMany()
const blocks = await blocksOf(PAGE, 'sh', 'ts')
const of = (wanted: string) => blocks.flatMap(({ language, text }) => (language === wanted ? [text] : []))
const photo = randomBytes(20_000)
const film = randomBytes(5 * MiB)

describeWithProgram('curl', 'curl')('the curl lines of docs/apps.md', () => {
  it('run from the registration to the end of the account', async () => {
    const { url } = await app()
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'beach.jpg'), photo)
    await writeFile(join(folder, 'film.mp4'), film)
    await writeFile(join(folder, 'small.jpg'), randomBytes(1000))
    const lines = ['set -euo pipefail', ...of('sh')].join('\n')
    const env = { PATH: process.env.PATH, URL: url }
    const { stdout } = await promisify(execFile)('bash', ['-c', lines], { cwd: folder, env })

    expect(of('sh').length).toBeGreaterThan(7)
    expect(stdout).toMatch(/#pair=app-[0-9a-f]{32}\.[0-9]{4}$/m)
    expect(stdout).toContain('"takenAt":"2026-07-14T12:00:00.000+02:00"')
    expect(stdout).toContain(`"size":${film.length}`)
    expect(stdout).toMatch(/"found":\[\{[^}]*"state":"live","verifiedAt":"20/)
    expect((await readFile(join(folder, 'again.jpg'))).equals(photo)).toBe(true)
    expect((await readFile(join(folder, 'first-bytes'))).equals(photo.subarray(0, 100))).toBe(true)
    expect((await readFile(join(folder, 'everything.zip'))).includes('film.mp4')).toBe(true)
  })
})

it('the lines of docs/apps.md with the client run', async () => {
  const { url } = await app()
  const shown: unknown[][] = []
  const saved: number[] = []
  const applied: unknown[] = []
  const given = {
    ...{ baseUrl: url, photo, film, folder: await temporaryFolder(), smallJpeg: randomBytes(1000) },
    askForPin: () => '',
    /** Of the same user on another device. */
    async tokenOf(client: Client) {
      const { token, client: other } = await signedIn({ url })
      await other.signInWithPairing((await client.pair()).text)
      return token.get()
    },
    storedCursor: () => null,
    apply: (changes: unknown[]) => applied.push(...changes),
    forgetEverything: () => {},
    removeFromPhone: (local: unknown) => shown.push(['removed', local]),
    show: (...what: unknown[]) => shown.push(what),
    signInAgain: () => shown.push(['sign in again']),
    save: async (stream: ReadableStream) => saved.push((await new Response(stream).arrayBuffer()).byteLength),
  }
  const results = await run(of('ts'), given, ['outcome', 'file.takenAt', 'firstBytes.length'])

  expect(of('ts').length).toBeGreaterThan(7)
  expect(results).toEqual(['stored', '2026-07-14T12:00:00.000+02:00', 100])
  expect([saved[0], (saved[1] ?? 0) > film.length]).toEqual([photo.length, true])
  expect(applied).toContainEqual({ type: 'file', file: expect.objectContaining({ name: 'beach.jpg' }) })
  expect(shown.some(([what]) => what === 'removed')).toBe(true)
  expect(shown.at(-1)).toEqual(['sign in again'])
})
