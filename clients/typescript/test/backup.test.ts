/** minikeepsafe-backup */
import { mkdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { appForMany, temporaryFolder, testApp } from '../../../test/support/app.ts'
import { faultyProxy } from '../../../test/support/faulty-proxy.ts'
import { datedBy } from '../src/backup/backup.ts'
import { vaultName } from '../src/names.ts'
import { backupCommand, fill, sentIn } from './backup-process.ts'
import { all, MiB, signedIn } from './support.ts'

const app = appForMany()
const start = backupCommand()

describe('the name of a file', () => {
  it.each([
    ['beach.jpg', 'beach.jpg'],
    ['2026/trip/beach.jpg', '2026 - trip - beach.jpg'],
    ['e\u0301te\u0301.jpg', '\u00e9t\u00e9.jpg'],
    ['a\\b\nc.jpg', 'a_b_c.jpg'],
  ])('of %j is %j', (path, name) => {
    expect(vaultName(path)).toBe(name)
  })

  it('is never one that means a folder', () => {
    expect([vaultName('.'), vaultName('..'), vaultName('')]).toEqual(['_', '_', '_'])
  })

  it('is never too long, and differs where only the beginning does', () => {
    const long = `${'é'.repeat(200)}/beach.jpg`
    const names = [vaultName(`a/${long}`), vaultName(`b/${long}`)]
    expect(names.map((name) => Buffer.byteLength(name) <= 255)).toEqual([true, true])
    expect(names[0]).toMatch(/^[0-9a-f]{8}-é+ - beach\.jpg$/)
    expect(names[0]).not.toBe(names[1])
  })
})

describe('the date of a file', () => {
  it.each([
    ['0000-01-01T00:00:00.000Z', true],
    ['9999-12-31T23:59:59.999Z', true],
    ['+010000-01-01T00:00:00.000Z', false],
    ['-000001-12-31T23:59:59.999Z', false],
    ['none', false],
  ])('of %s is sent only if the server can take it', (text, isSent) => {
    const modifiedAt = new Date(text)
    expect(datedBy(modifiedAt)).toEqual(isSent ? { takenAt: modifiedAt } : {})
  })
})

describe('minikeepsafe-backup', () => {
  it('signs in once, and sends what is missing with its folders and dates', async () => {
    const { client, folder, config, pair } = await scene()
    await fill(folder, 'beach.jpg', 1000)
    await fill(folder, '2026/trip/film.mp4', 5 * MiB)
    await fill(folder, '.hidden/secret', 10)
    await fill(folder, 'empty.txt', 0)
    const takenAt = new Date('2026-07-14T12:00:00Z')
    await utimes(join(folder, 'beach.jpg'), takenAt, takenAt)
    const first = await start(config, [folder, '--pair', pair, '--device-name', 'Laptop']).ended

    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toContain('sent 2026/trip/film.mp4 as 2026 - trip - film.mp4\n')
    expect(first.stdout).toContain('3 files: 3 sent (5.0 MiB), 0 there already, 0 failed\n')
    const files = await all(client.list())
    expect(files.map(({ name }) => name).sort()).toEqual(['2026 - trip - film.mp4', 'beach.jpg', 'empty.txt'])
    expect(await client.find('beach.jpg')).toMatchObject({ takenAt: takenAt.toISOString() })
    expect((await stat(join(config, 'minikeepsafe/backup.json'))).mode & 0o777).toBe(0o600)

    const again = await start(config, [folder]).ended
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).toBe('3 files: 0 sent (0.0 MiB), 3 there already, 0 failed\n')
    expect((await all(client.list())).length).toBe(3)
  })

  it('prints no warning, however many files it sends at a time', async () => {
    const { folder, config, pair } = await scene()
    for (let n = 0; n < 40; n += 1) await fill(folder, `file-${n}`, 20_000)
    const ended = await start(config, [folder, '--pair', pair, '--parallel', '16']).ended
    expect([ended.code, ended.stderr, sentIn(ended)]).toEqual([0, '', 40])
  })

  it('numbers a file that has changed, or replaces it', async () => {
    const { client, folder, config, pair } = await scene()
    await writeFile(join(folder, 'note.txt'), 'one')
    await start(config, [folder, '--pair', pair]).ended
    await writeFile(join(folder, 'note.txt'), 'two')
    await start(config, [folder]).ended
    const names = async () => (await all(client.list())).map(({ name }) => name)
    expect(await names()).toEqual(['note (1).txt', 'note.txt'])

    await writeFile(join(folder, 'note.txt'), 'three')
    await start(config, [folder, '--replace']).ended
    expect(await names()).toEqual(['note (1).txt', 'note.txt'])
    expect((await all(client.trash.list())).map(({ name }) => name)).toEqual(['note.txt'])
  })

  it('sends a version again that another one had replaced, and not what its owner deleted', async () => {
    const { client, folder, config, pair } = await scene()
    const note = join(folder, 'note.txt')
    await writeFile(note, 'one')
    await writeFile(join(folder, 'unwanted'), 'unwanted')
    await start(config, [folder, '--pair', pair]).ended
    await client.remove('unwanted')
    await writeFile(note, 'two')
    await start(config, [folder, '--replace']).ended
    await writeFile(note, 'one')
    const { stdout } = await start(config, [folder, '--replace']).ended

    expect(stdout).toBe('sent note.txt\n2 files: 1 sent (0.0 MiB), 1 there already, 0 failed\n')
    expect(await contents(client)).toEqual({ 'note.txt': 'one' })
  })

  it('keeps the bytes of every file when it replaces one that had the bytes of another', async () => {
    const { client, folder, config, pair } = await scene()
    const write = (name: string, text: string) => writeFile(join(folder, name), text)
    await write('a', 'x')
    await write('b', 'x')
    await start(config, [folder, '--pair', pair, '--replace']).ended
    expect(await contents(client)).toEqual({ a: 'x' })
    await write('a', 'y')
    const { stdout } = await start(config, [folder, '--replace']).ended
    expect(stdout).toContain('2 files: 2 sent (0.0 MiB), 0 there already, 0 failed\n')
    expect(await contents(client)).toEqual({ a: 'y', b: 'x' })
  })

  it('replaces no file by another one with the same name in the vault', async () => {
    const { client, folder, config, pair } = await scene()
    await mkdir(join(folder, 'a'))
    await writeFile(join(folder, 'a', 'b'), 'one')
    await writeFile(join(folder, 'a - b'), 'two')
    await start(config, [folder, '--pair', pair, '--replace']).ended
    expect(Object.values(await contents(client)).sort()).toEqual(['one', 'two'])
  })

  it('lists what failed, and sends the rest', async () => {
    const own = await testApp({ MAX_FILE_BYTES: '1000' })
    const { folder, config, pair } = await scene(own)
    await fill(folder, 'large', 1001)
    await fill(folder, 'small', 1000)
    const { code, stdout, stderr } = await start(config, [folder, '--pair', pair]).ended
    expect(code).toBe(1)
    expect(stdout).toContain('2 files: 1 sent (0.0 MiB), 0 there already, 1 failed\n')
    expect(stderr).toMatch(/^failed large: .+ \(file-too-large\)\n$/)
  })

  it.each<[NodeJS.Signals, number | string]>([
    ['SIGINT', 130],
    ['SIGKILL', 'SIGKILL'],
  ])('goes on after %s where it was', async (signal, code) => {
    const own = await appForSlow()
    const { client, folder, config, pair } = await scene(own)
    for (let n = 10; n < 30; n += 1) await fill(folder, `photo-${n}.jpg`, 20_000)
    let lines = 0
    const first = start(config, [folder, '--pair', pair, '--parallel', '2'], () => {
      lines += 1
      if (lines === 5) first.kill(signal)
    })
    expect(await first.ended).toMatchObject({ code })
    const before = (await all(client.list())).length
    expect([before >= 5, before < 20]).toEqual([true, true])

    const second = await start(config, [folder]).ended
    expect(second.code).toBe(0)
    const files = await all(client.list())
    expect([files.length, new Set(files.map(({ sha256 }) => sha256)).size]).toEqual([20, 20])
    // The server may have stored the last two after the list: they had arrived before their client was killed.
    expect(sentIn(second)).toBeLessThanOrEqual(20 - before)
    expect(sentIn(second)).toBeGreaterThanOrEqual(20 - before - 2)
  })

  it('goes on in the middle of a file', async () => {
    const own = await appForSlow()
    const { client, folder, config, pair } = await scene(own)
    await fill(folder, 'film.mp4', 32 * MiB)
    const first = start(config, [folder, '--pair', pair])
    const offset = async () => (await client.uploads.list())[0]?.offset ?? 0
    await expect.poll(offset, { timeout: 20_000 }).toBeGreaterThanOrEqual(MiB)
    first.kill('SIGKILL')
    await first.ended
    const [begun] = await client.uploads.list()

    expect(begun?.offset).toBeGreaterThanOrEqual(MiB)
    expect(await start(config, [folder]).ended).toMatchObject({ code: 0 })
    // Another upload would have left the first one behind.
    expect(await client.uploads.list()).toEqual([])
    expect((await client.find('film.mp4'))?.size).toBe(32 * MiB)
  })

  it.each<[string, string[], RegExp]>([
    ['no folder', [], /Name one folder/],
    ['a folder that is not there', ['/none/of/it'], /There is no folder/],
    ['an unknown option', ['/tmp', '--what'], /--what/],
    ['a wrong number', ['/tmp', '--parallel', '0'], /--parallel/],
    ['no session', ['/tmp'], /Sign in with --pair/],
    ['a text that is no pairing', ['/tmp', '--pair', 'hello'], /invalid-pairing/],
    ['no PIN', ['/tmp', '--server', 'http://127.0.0.1:9'], /--pin/],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await start(await temporaryFolder(), args).ended
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })

  it('does not use up the PIN if it cannot keep the session', async () => {
    const { folder, config, pair } = await scene()
    await writeFile(join(config, 'file'), '')
    const { code, stderr } = await start(config, [folder, '--pair', pair, '--token-file', join(config, 'file/x')]).ended
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^The session cannot be kept in .+\/file\/x: /)])
    expect(await start(config, [folder, '--pair', pair]).ended).toMatchObject({ code: 0 })
  })

  it.each(['null', '{}', '{"server":', '[]'])('takes a file with %s for no session', async (text) => {
    const config = await temporaryFolder()
    const path = join(config, 'session.json')
    await writeFile(path, text)
    const { code, stderr } = await start(config, [config, '--token-file', path]).ended
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^There is no session in /)])
  })

  it('says that its session has ended', async () => {
    const { client, folder, config, pair } = await scene()
    await fill(folder, 'a', 1)
    await start(config, [folder, '--pair', pair]).ended
    await client.sessions.endOthers()
    const { code, stderr } = await start(config, [folder]).ended
    expect([code, stderr]).toEqual([2, 'The session has ended. Sign in again with --pair.\n'])
    const kept = JSON.parse(await readFile(join(config, 'minikeepsafe/backup.json'), 'utf8'))
    expect(Object.keys(kept)).toEqual(['server', 'deviceId', 'token'])
  })
})

/** A server behind a proxy that delays its answers. */
async function appForSlow() {
  const { url } = await app()
  const proxy = await faultyProxy({ host: '127.0.0.1', port: Number(new URL(url).port) })
  proxy.delay(20)
  return { url: `http://127.0.0.1:${proxy.port}` }
}

/** The texts of all live files by their names. */
async function contents(client: Awaited<ReturnType<typeof scene>>['client']): Promise<Record<string, string>> {
  const texts = (await all(client.list())).map(async ({ name }) => {
    return [name, Buffer.from(await (await client.download(name)).bytes()).toString()]
  })
  return Object.fromEntries(await Promise.all(texts))
}

async function scene(own?: { url: string }) {
  const server = own ?? (await app())
  const { client } = await signedIn(server)
  const folder = join(await temporaryFolder(), 'photos')
  await mkdir(folder)
  return { client, folder, config: await temporaryFolder(), pair: (await client.pair()).text }
}
