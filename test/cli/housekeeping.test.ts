import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { commands } from '../../src/commands/commands.ts'
import { VERSION } from '../../src/version.ts'
import { temporaryFolder } from '../support/app.ts'
import { command, commandProcess, serverProcess, signedIn } from '../support/process.ts'

const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'a-device-of-ada' }

async function withAda() {
  const folder = await temporaryFolder()
  const server = serverProcess(folder)
  const { pin } = (await server.post('/v1/users', ada)).body as { pin: string }
  const session = (await server.post('/v1/sessions', { deviceId: ada.deviceId, pin })).body as Record<string, string>
  const headers = { authorization: `Bearer ${session.token}` }
  await server.request('/v1/files/a-secret-name', { method: 'PUT', headers, body: 'bytes' })
  return { folder, server, headers, userId: session.userId as string }
}

describe('stats', () => {
  it('counts what is there, without names, and without the master key', async () => {
    const { folder, server, headers } = await withAda()
    const picture = { method: 'PUT', headers: { ...headers, 'content-type': 'image/png' }, body: 'picture' }
    await server.request('/v1/files/a-secret-name/thumbnail', picture)
    const settings = { MASTER_KEY: 'none that could be used' }
    const { code, report } = await command(folder, ['stats'], settings)
    expect([code, report]).toEqual([
      0,
      {
        ok: true,
        version: VERSION,
        users: 1,
        sessions: 1,
        files: { count: 1, bytes: 5 },
        trash: { count: 0, bytes: 0 },
        thumbnails: { count: 1, bytes: 7 },
        uploads: { count: 0, bytes: 0 },
        readBack: { never: 1, failed: 0, oldestAt: null },
        scrub: { since: expect.any(String), read: { count: 0, bytes: 0 }, total: { count: 1, bytes: 5 }, dueBy: null },
        garbage: 0,
        runs: { known: 1, living: 1 },
        slots: { [Object.keys(report.slots as object)[0] as string]: 2 },
        holds: 0,
        lastBackupAt: null,
        blobs: { count: 1, bytes: 61 },
        database: { bytes: expect.any(Number), schema: 15 },
      },
    ])
    const { stdout } = await commandProcess(folder, ['stats'], settings).ended
    expect(stdout).toMatch(
      /^minikeepsafe \S+\n1 user, 1 session\n1 file \(5 bytes\), 0 in the trash \(0 bytes\)\n1 thumbnail \(7 bytes\), in the database\n0 unfinished uploads \(0 bytes\)\nread back: none, 1 file never, 0 damaged or locked\n1 blob/,
    )
    expect(stdout).toContain('\nlast backup: none\n')
    expect(stdout).toMatch(/\nsince 2\S+Z read back: 0 of 1 file, 0 bytes of 5 bytes\n$/)
    expect(stdout).not.toMatch(/secret|example\.org|Ada/)
    const { stdout: off } = await commandProcess(folder, ['stats'], { ...settings, SCRUB_DAYS: '0' }).ended
    expect(off).toMatch(/\nnothing is read back: SCRUB_DAYS is 0\n$/)
    await command(folder, ['backup', 'backup'])
    expect((await command(folder, ['stats'], settings)).report.lastBackupAt).toBeLessThanOrEqual(Date.now())
  })
})

describe('sweep', () => {
  it('does one round beside a server', async () => {
    const { folder, server, headers } = await withAda()
    const leftBehind = join(folder, 'uploads', 'crashed')
    await mkdir(leftBehind)
    await writeFile(join(leftBehind, 'blob'), 'of an upload that was never finished')
    const db = new Database(join(folder, 'data', 'minikeepsafe.db'))
    db.exec("INSERT INTO runs (id, started_at, ended) VALUES ('crashed', 0, 1)")
    db.close()
    expect(await command(folder, ['sweep'])).toMatchObject({ code: 0, report: { ok: true, garbage: 0, holds: 0 } })
    expect(existsSync(leftBehind)).toBe(false)
    expect((await server.request('/v1/files/a-secret-name', { headers })).body).toBe('bytes')
    expect((await server.request('/v1/files/b', { method: 'PUT', headers, body: 'more' })).status).toBe(201)
  })
})

describe('users', () => {
  it('lists them by id, with addresses only where they are asked for', async () => {
    const { folder, userId } = await withAda()
    const listed = {
      id: userId,
      files: 1,
      trashFiles: 0,
      bytes: 5,
      sessions: 1,
      createdAt: expect.stringMatching(/^20.*Z$/),
      lastSeenAt: expect.stringMatching(/^20.*Z$/),
    }
    expect(await command(folder, ['users'])).toMatchObject({ code: 0, report: { ok: true, users: [listed] } })
    const { stdout } = await commandProcess(folder, ['users']).ended
    expect(stdout).toMatch(
      new RegExp(`^${userId}  1 file, 0 in the trash, 5 bytes, 1 session  last seen 20\\S+Z\n1 user\n$`),
    )
    const { report } = await command(folder, ['users', '--addresses'])
    expect(report.users).toEqual([{ ...listed, email: ada.email }])
  })
})

describe('sessions end', () => {
  it('signs a user out beside a running server, and notes it', async () => {
    const { folder, server, headers, userId } = await withAda()
    const other = await signedIn(server)
    expect(await command(folder, ['sessions', 'end', ada.email])).toMatchObject({
      code: 0,
      report: { ok: true, userId, ended: 1 },
    })
    expect((await server.request('/v1/files', { headers })).status).toBe(401)
    expect((await server.request('/v1/files', { headers: other })).status).toBe(200)
    expect(await command(folder, ['sessions', 'end', userId])).toMatchObject({ report: { ended: 0 } })
    expect(await command(folder, ['sessions', 'end', 'nobody'])).toMatchObject({ code: 1 })
  })
})

describe('user delete', () => {
  it('asks where it can, wants --yes where it cannot, and deletes by address or id', async () => {
    const { folder, server, headers, userId } = await withAda()
    const unasked = await command(folder, ['user', 'delete', ada.email])
    expect([unasked.code, unasked.report.error]).toEqual([2, expect.stringContaining('--yes')])
    expect(await command(folder, ['user', 'delete', 'nobody', '--yes'])).toMatchObject({
      code: 1,
      report: { ok: false, error: 'there is no such user' },
    })
    const { code, report } = await command(folder, ['user', 'delete', ada.email.toUpperCase(), '--yes'])
    expect([code, report]).toEqual([0, { ok: true, deleted: userId, files: 1 }])
    expect((await server.request('/v1/files', { headers })).status).toBe(401)
    await signedIn(server)
    expect(await command(folder, ['verify'])).toMatchObject({ code: 0, report: { users: 1, files: 0, blobs: 0 } })
  })
})

describe('the page on operating', () => {
  it('has every command as --help has it, and no other', async () => {
    const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'operating.md'), 'utf8')
    for (const [name, { operands, options }] of Object.entries(commands)) {
      expect(page).toContain(['`minikeepsafe', name, ...operands].join(' '))
      for (const option of Object.keys(options)) expect(page).toContain(`--${option}`)
    }
    const named = [...page.matchAll(/`minikeepsafe ([a-z-]+(?: delete| end)?)/g)].map(([, name]) => name)
    expect(named.filter((name) => !Object.hasOwn(commands, name as string))).toEqual([])
  })
})
