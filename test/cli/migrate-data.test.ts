import { mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { type Member, member, memberWith, temporaryFolder, testApp } from '../support/app.ts'
import { pathOf, spoil } from '../support/blobs.ts'
import {
  ARGS,
  FILM,
  fill,
  type MovePlace,
  migrate,
  movePlace,
  PAUSED,
  PICTURE,
  seenBy,
  UNICODE_NAME,
} from '../support/move.ts'
import { describePostgres, emptySchema, postgresWire } from '../support/postgres.ts'
import { command, commandProcess } from '../support/process.ts'
import { postgresRows, sqliteRows, type Tables } from '../support/rows.ts'
import { describeS3, newBucket, objectsIn, s3Environment } from '../support/s3.ts'

/** What a vault takes with it: all tables but the books on blobs. */
const MOVED = [
  ...['users', 'departed', 'key_slots', 'sessions', 'devices', 'guesses', 'handed_out_pins', 'activity', 'files'],
  ...['vacated_names', 'tombstones', 'thumbnails'],
]
const movedOf = (tables: Tables) => Object.fromEntries(MOVED.map((table) => [table, tables[table] ?? []]))
const NO_ROWS = movedOf({})
const rowsThere = async ({ to }: MovePlace) => movedOf(await postgresRows(to.DATABASE_URL as string))

async function files(owner: Member, count: number) {
  for (let n = 0; n < count; n += 1) await owner.put(`file-${n}`, `content ${n} `.repeat(20_000))
}

/** Somebody's vault on its way to another folder. */
async function placeInFolder() {
  const uploads = await temporaryFolder()
  const place = await movePlace({ to: { UPLOADS_DIR: uploads } })
  const source = await place.source()
  return { uploads, place, source, ada: await member(source) }
}

describePostgres('migrate-data', () => {
  describeS3('to S3', () => {
    it('takes a whole vault along, and leaves the source as it was', async () => {
      const place = await movePlace()
      const source = await place.source()
      const { ada, ben, cleo, second, handedOut } = await fill(source)
      const before = await Promise.all([ada, ben, second].map(seenBy))
      await source.close()
      const rows = sqliteRows(place.from.DATA_DIR as string)

      const { code, stdout, stderr } = await commandProcess(place.home, ARGS).ended
      expect([code, stdout]).toEqual([0, expect.stringContaining('6 files (9.0 MiB opened): copied 6 blobs')])
      for (const secret of [ada.email, ada.token, 'beach', 'Ada', handedOut.pin, place.to.S3_SECRET_ACCESS_KEY]) {
        expect(stdout + stderr).not.toContain(secret)
      }
      const arrived = await postgresRows(place.to.DATABASE_URL as string)
      expect(movedOf(arrived)).toEqual(movedOf(rows))
      expect(MOVED.filter((table) => arrived[table]?.length === 0)).toEqual([])
      expect(sqliteRows(place.from.DATA_DIR as string)).toEqual(rows)

      const target = await place.target()
      const members = [ada, ben, second].map((one) => memberWith(target, one))
      expect(await Promise.all(members.map(seenBy))).toEqual(before)
      const [adaThere] = members
      expect((await adaThere?.get('film'))?.bytes.equals(FILM)).toBe(true)
      expect((await adaThere?.get('empty'))?.bytes).toHaveLength(0)
      expect((await adaThere?.get(UNICODE_NAME))?.body).toBe('lanterns')
      const thumbnail = await adaThere?.request('/v1/files/beach.jpg/thumbnail')
      expect(thumbnail?.bytes.equals(PICTURE)).toBe(true)
      expect(await target.ports.pinLedger.isPaused(PAUSED, target.clock() + 1e17)).toBe(true)
      expect((await target.post('/v1/sessions', handedOut)).status).toBe(201)
      await expect.poll(() => target.ports.users.departed(1)).toEqual([])
      expect((await adaThere?.replace('beach.jpg', 'sand anew'))?.status).toBe(200)
      expect(await memberWith(target, cleo).get('left.jpg')).toBeProblem(401, 'unauthorized')
      await target.close()
      expect(await command(place.home, ['verify'], place.to)).toMatchObject({ code: 0, report: { files: 6, blobs: 6 } })
    }, 60_000)

    it('copies ahead while a server writes, and then only what is new', async () => {
      const place = await movePlace()
      const source = await place.source()
      const { ada } = await fill(source)

      const ahead = await migrate(place)
      expect(ahead).toMatchObject({
        ok: false,
        report: { moved: false, state: 'written', blobs: { copied: 6, kept: 0 } },
      })
      expect(ahead.lines.at(-1)).toContain('Restart it with READ_ONLY=on')
      expect(await rowsThere(place)).toEqual(NO_ROWS)
      await ada.replace('beach.jpg', 'sand anew')
      await ada.put('new.jpg', 'a new one')
      await source.close()

      const reading = await place.source({ READ_ONLY: 'on' })
      const last = await migrate(place)
      expect(last).toMatchObject({ ok: true, report: { moved: true, blobs: { copied: 2, kept: 5 }, lost: [] } })
      expect((await memberWith(reading, ada).get('beach.jpg')).body).toBe('sand anew')
      await reading.close()

      const target = await place.target()
      expect((await memberWith(target, ada).get('beach.jpg')).body).toBe('sand anew')
      expect((await memberWith(target, ada).get('new.jpg')).body).toBe('a new one')
      // What was brought and is not named any more is swept like any other garbage.
      await expect.poll(() => target.ports.ledger.garbage(1)).toEqual([])
      await target.close()
      expect(await command(place.home, ['verify'], place.to)).toMatchObject({
        code: 0,
        report: { blobs: 7, orphans: [] },
      })
      const nothing = {
        files: 0,
        uploads: 0,
        bytes: 0,
        blobs: { copied: 0, kept: 0 },
        copiedBytes: 0,
        lost: [],
        rows: {},
      }
      expect((await migrate(place)).report).toEqual({ ok: true, moved: true, state: 'there', ...nothing })
    }, 60_000)

    it('goes on where it was killed and copies nothing twice, while a read-only server serves', async () => {
      const bucket = await newBucket()
      const place = await movePlace({ to: s3Environment(bucket) })
      const source = await place.source()
      const ada = await member(source)
      await files(ada, 120)
      await source.close()
      const reading = await place.source({ READ_ONLY: 'on' })
      const adaThere = memberWith(reading, ada)
      const rows = sqliteRows(place.from.DATA_DIR as string)

      let copied = 0
      for (const most of [1, 40, 80]) {
        const killed = commandProcess(place.home, ARGS)
        await expect
          .poll(() => objectsIn(bucket), { interval: 5, timeout: 20_000 })
          .toSatisfy((keys) => keys.length >= most)
        expect((await adaThere.get('file-7', { range: 'bytes=0-8' })).body).toBe('content 7')
        expect((await adaThere.request('/v1/files')).status).toBe(200)
        expect(await adaThere.put('file-7', 'changed')).toBeProblem(503, 'read-only')
        await killed.stop('SIGKILL')
        expect(await rowsThere(place)).toEqual(NO_ROWS)
        copied = (await objectsIn(bucket)).length
        expect(copied).toBeLessThan(120)
      }
      const { report } = await migrate(place)
      expect(report).toMatchObject({ moved: true, blobs: { copied: 120 - copied, kept: copied }, files: 120 })
      expect(await rowsThere(place)).toEqual(movedOf(rows))
      expect(sqliteRows(place.from.DATA_DIR as string)).toEqual(rows)
    }, 120_000)

    it.each([
      [/^INSERT INTO files/, 'still'],
      [/^ANALYZE/, 'still'],
      [/^COMMIT/, 'there'],
    ] as const)(
      'is whole or nothing where it is killed at %s',
      async (statement, state) => {
        const direct = await emptySchema()
        const wire = await postgresWire(direct)
        const place = await movePlace({ to: { ...s3Environment(await newBucket()), DATABASE_URL: wire.url } })
        const source = await place.source()
        const { ada } = await fill(source)
        await source.close()
        const rows = movedOf(sqliteRows(place.from.DATA_DIR as string))
        const there = async () => movedOf(await postgresRows(direct))
        const asked = (last: RegExp) => expect.poll(() => wire.asked().at(-1), { timeout: 20_000 }).toMatch(last)

        wire.holdOne(state === 'there' ? /^ANALYZE/ : statement, 'answers')
        const killed = commandProcess(place.home, ARGS)
        if (state === 'there') {
          // Migrations have been committed before.
          await asked(/^ANALYZE/)
          wire.holdOne(statement, 'answers')
          await wire.mend()
        }
        await asked(statement)
        // Until it is killed, whoever looks at tables in the middle of it waits.
        if (state === 'there') await expect.poll(there).toEqual(rows)
        await killed.stop('SIGKILL')
        expect(await there()).toEqual(state === 'there' ? rows : NO_ROWS)

        const { report } = await migrate(place)
        expect(report).toMatchObject({ ok: true, moved: true, state, blobs: { copied: 0 } })
        expect(await there()).toEqual(rows)
        const target = await place.target()
        expect((await memberWith(target, ada).get('film')).bytes.equals(FILM)).toBe(true)
      },
      60_000,
    )

    it('moves nothing where files are lost, names them by their ids, and takes the rest where that is wanted', async () => {
      const place = await movePlace()
      const source = await place.source()
      const { ada } = await fill(source)
      await spoil(await pathOf(source, ada, 'beach.jpg'), (bytes) => bytes.fill(bytes[60] as number, 50, 60))
      await spoil(await pathOf(source, ada, 'empty'), (bytes) => bytes.subarray(1))
      await unlink(await pathOf(source, ada, UNICODE_NAME))
      await source.close()

      const refused = await migrate(place)
      expect(refused).toMatchObject({ ok: false, report: { moved: false, state: 'still', files: 6 } })
      expect(refused.report.lost.map(({ why }) => why).sort()).toEqual([
        'its blob does not open',
        'its blob has 55 bytes instead of 56',
        'its blob is not there',
      ])
      expect(refused.lines.join()).not.toMatch(/beach|empty|jpg/)
      expect(refused.lines.at(-1)).toContain('nothing was moved: 3 files damaged or missing')
      expect(await rowsThere(place)).toEqual(NO_ROWS)

      const taken = await migrate(place, { incomplete: true })
      expect(taken).toMatchObject({ ok: false, report: { moved: true, blobs: { copied: 0, kept: 4 } } })
      expect(taken.report.lost).toHaveLength(3)
      const target = await place.target()
      const adaThere = memberWith(target, ada)
      expect((await adaThere.get('film')).bytes.equals(FILM)).toBe(true)
      expect(await adaThere.get('beach.jpg')).toBeProblem(500, 'internal-error')
      expect((await adaThere.request('/v1/files')).status).toBe(200)
    })

    it('copies anew what a broken-off copy left, between buckets too', async () => {
      const [first, second] = [await newBucket(), await newBucket()]
      const onS3 = await movePlace({ from: s3Environment(first), to: s3Environment(second) })
      const source = await onS3.source()
      const { ada } = await fill(source)
      await source.close()
      expect(await migrate(onS3)).toMatchObject({ ok: true, report: { blobs: { copied: 6 } } })
      expect((await objectsIn(first)).length).toBe((await objectsIn(second)).length + 1)
      expect((await memberWith(await onS3.target(), ada).get('film')).bytes.equals(FILM)).toBe(true)
    })

    it('leaves files where they are, where both settings name one place for them', async () => {
      const bucket = s3Environment(await newBucket())
      const place = await movePlace({ from: bucket, to: bucket })
      const source = await place.source()
      const { ada } = await fill(source)
      await source.close()
      expect(await migrate(place)).toMatchObject({ ok: true, report: { moved: true, blobs: { copied: 0, kept: 6 } } })
      expect((await memberWith(await place.target(), ada).get('film')).bytes.equals(FILM)).toBe(true)
    })
  })

  it('mends what is spoilt in a folder that it came to, out of what is whole', async () => {
    const uploads = await temporaryFolder()
    const place = await movePlace({ to: { UPLOADS_DIR: uploads } })
    const source = await place.source()
    const { ada } = await fill(source)
    expect(await migrate(place)).toMatchObject({ report: { moved: false, blobs: { copied: 6 } } })
    const there = async (name: string) => (await pathOf(source, ada, name)).replace(source.config.UPLOADS_DIR, uploads)
    await spoil(await there('beach.jpg'), (bytes) => bytes.subarray(0, 20))
    await source.close()
    expect(await migrate(place)).toMatchObject({ ok: true, report: { moved: true, blobs: { copied: 1, kept: 5 } } })
    expect((await memberWith(await place.target(), ada).get('beach.jpg')).body).toBe('sand and sea')
  })

  it('prints its result and one line for an audit, and no warning, though it asks for several blobs at once', async () => {
    const { place, source, ada } = await placeInFolder()
    await files(ada, 8)
    await source.close()
    const { code, stderr } = await commandProcess(place.home, ARGS).ended
    expect([code, JSON.parse(stderr)]).toEqual([
      0,
      { level: 30, time: expect.any(Number), audit: 'vault-moved', msg: 'audit' },
    ])
    // The vault is there already.
    expect(await commandProcess(place.home, ARGS).ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('does not trust the length of what was never looked at', async () => {
    const { uploads, place, source, ada } = await placeInFolder()
    await ada.replace('beach.jpg', 'sand and sea')
    const path = (await pathOf(source, ada, 'beach.jpg')).replace(source.config.UPLOADS_DIR, uploads)
    await source.close()
    await spoil(path, () => Buffer.alloc(40 + 12 + 16))
    expect(await migrate(place)).toMatchObject({ ok: true, report: { moved: true, blobs: { copied: 1, kept: 0 } } })
    expect((await memberWith(await place.target(), ada).get('beach.jpg')).body).toBe('sand and sea')
  })

  it('ends where the place for files cannot be written, and tells which blob it was', async () => {
    const { uploads, place, source, ada } = await placeInFolder()
    await ada.replace('beach.jpg', 'sand and sea')
    const [run, blob] = (await pathOf(source, ada, 'beach.jpg')).split('/').slice(-2)
    await source.close()
    await writeFile(join(uploads, run as string), 'in the way')
    await expect(migrate(place)).rejects.toThrow(`blob ${run}/${blob} could not be brought: `)
    expect(await rowsThere(place)).toEqual(NO_ROWS)
    await rm(join(uploads, run as string))
    expect(await migrate(place)).toMatchObject({ ok: true })
  })

  it('stops, and deletes nothing, where what is there cannot be read', async () => {
    const uploads = await temporaryFolder()
    const place = await movePlace({ to: { UPLOADS_DIR: uploads } })
    const folder = join(uploads, 'folder')
    for (const name of ['some', 'names', 'in', 'it']) await mkdir(join(folder, name), { recursive: true })
    const source = await place.source()
    const ada = await member(source)
    // A folder in place of a blob, and as long.
    await ada.put('beach.jpg', Buffer.alloc((await stat(folder)).size - 56))
    const path = (await pathOf(source, ada, 'beach.jpg')).replace(source.config.UPLOADS_DIR, uploads)
    await source.close()
    await mkdir(dirname(path))
    await rename(folder, path)
    await expect(migrate(place)).rejects.toThrow(/could not be brought: EISDIR/)
    expect(await readdir(path)).toHaveLength(4)
  })

  it('refuses another vault, another key and a server in the target, and changes nothing', async () => {
    const { place, source, ada } = await placeInFolder()
    await ada.put('beach.jpg', 'sand')
    await source.close()

    const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')
    const wrongKey = { ...place.to, MASTER_KEY, MASTER_KEY_FILE: '' }
    const lines = Object.entries(wrongKey).map(([name, value]) => `${name}="${value}"\n`)
    await writeFile(join(place.home, 'wrong.env'), lines.join(''))
    await expect(migrate(place, { to: join(place.home, 'wrong.env') })).rejects.toThrow('locked with master key')
    expect(await postgresRows(place.to.DATABASE_URL as string)).toEqual({})

    const strangers = await testApp(place.to)
    await expect(migrate(place)).rejects.toThrow('a server uses this database')
    await member(strangers)
    await strangers.close()
    await expect(migrate(place)).rejects.toThrow('there is another vault in the target already')
  })

  it('that is not finished keeps servers and other vaults from its database, and goes on', async () => {
    const { uploads, place, source, ada } = await placeInFolder()
    await ada.put('beach.jpg', 'sand')
    expect((await migrate(place)).report).toMatchObject({ moved: false, state: 'written', blobs: { copied: 1 } })
    await expect(place.target()).rejects.toThrow('a move into this database was begun and not finished')

    const other = await movePlace({ to: { UPLOADS_DIR: uploads } })
    await writeFile(join(other.home, 'to.env'), await readFile(join(place.home, 'to.env')))
    const another = await other.source({ MASTER_KEY_FILE: join(place.home, 'data', 'master.key') })
    await (await member(another)).put('dunes.jpg', 'stones')
    await another.close()
    await expect(migrate(other)).rejects.toThrow('a move of another vault into this database was begun')

    await source.close()
    expect((await migrate(place)).report).toMatchObject({ moved: true, blobs: { copied: 0, kept: 1 } })
    expect((await (await place.target()).request('/health/ready')).status).toBe(200)
  })

  it('is called with two files of settings, from SQLite to PostgreSQL', async () => {
    const home = await temporaryFolder()
    await writeFile(join(home, 'sqlite.env'), 'DATA_DIR=./nowhere\n')
    await writeFile(join(home, 'postgres.env'), 'DATABASE_URL=postgres://ada:hunter2@127.0.0.1:1/vault\n')
    await writeFile(join(home, 'faulty.env'), 'PORT=x\n')
    const called = (from: string, to: string) =>
      migrate({ home }, { from: join(home, `${from}.env`), to: join(home, `${to}.env`) })
    await expect(called('none', 'postgres')).rejects.toThrow('none.env: there is no such file')
    await expect(called('sqlite', 'faulty')).rejects.toThrow('faulty.env: PORT is "x"')
    await expect(called('postgres', 'postgres')).rejects.toThrow('--from must be a vault in SQLite')
    await expect(called('sqlite', 'postgres')).rejects.toThrow('there is no vault in ./nowhere')
    const usage = { code: 2, report: { error: 'usage: minikeepsafe migrate-data --from FILE --to FILE' } }
    expect(await command(home, ['migrate-data', '--from', 'sqlite.env'])).toMatchObject(usage)
    // What the environment says is for neither.
    const environment = { DATABASE_URL: 'postgres://127.0.0.1:1/other' }
    expect(
      await command(home, ['migrate-data', '--from', 'sqlite.env', '--to', 'sqlite.env'], environment),
    ).toMatchObject({
      code: 2,
      report: { error: expect.stringContaining('--to must name PostgreSQL') },
    })
  })
})
