/** What only shows where many connections, or many processes, are at one database. */
import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { databaseCheck } from '../../src/adapters/postgres/database.ts'
import { repositoriesOf } from '../../src/adapters/postgres/engine.ts'
import { postgresLedger, postgresLedgerBeside } from '../../src/adapters/postgres/ledger.ts'
import { EACH, forUser, newEvent, newFile, newSession, opened, standing, T, withOwners } from '../contracts/rows.ts'
import { beginUpload, newPart } from '../contracts/uploads.ts'
import { connection, describePostgres, openedDatabase, run } from '../support/postgres.ts'

const MINUTE = 60_000
/** Sooner than in earnest: a server of tests has been up for so long soon. */
const SOON = { beatMs: MINUTE, silenceMs: 3000 }
const SHORTLY = { timeout: 20_000 }

async function repositories() {
  const db = await openedDatabase()
  const ledger = postgresLedger(db)
  onTestFinished(ledger.close)
  return { ...db, ...repositoriesOf(db), ledger }
}

/** The same with two users and a run, for which they keep files. */
async function kept() {
  const db = await repositories()
  return { ...db, ...(await withOwners(async () => db)) }
}

/** Opens all connections. Otherwise one statement waits for its new connection, while many others share those that are open. */
async function connected({ ask }: Awaited<ReturnType<typeof kept>>) {
  await Promise.all(Array.from({ length: 10 }, (_, n) => ask('SELECT $1::text', [`key-${n}`])))
}

/** Makes a run look as if its process had not beaten for so long. */
async function silence(url: string, name: string, ms: number) {
  await run(url, `UPDATE runs SET beat_at = now() - $2::integer * interval '1 ms' WHERE id = $1`, [name, ms])
}

describePostgres('PostgreSQL, where many are at it', () => {
  it('counts exactly what many uploads, deletes and restores of one user come to', async () => {
    const { users, files, trash, ana } = await kept()
    const mine = Array.from({ length: 30 }, (_, n) => ({ ...newFile(`file-${n % 10}`), sizeBytes: n + 1 }))
    await Promise.all(
      mine.map(async (file) => {
        if ((await files.commit(ana, file, null, null)) !== 'done') return
        await Promise.all([
          files.discard(ana, file, T),
          files.edit(ana, file, { name: `${file.name}-renamed`, taken: null }, T),
        ])
        await Promise.all([trash.restore(ana, file, file.name, 9), trash.remove(ana, file.id)])
      }),
    )
    const [{ counted, actual } = { counted: null, actual: null }] = await users.audit(ana.slice(0, -1), 1)
    expect(counted).toEqual(actual)
  })

  it('answers others while the statements of one user wait for a lock', SHORTLY, async () => {
    const { url, users, files, pool, ana, ben } = await kept()
    const mine = Array.from({ length: 60 }, (_, n) => newFile(`file-${n}`))
    for (const file of mine) await files.commit(ana, file, null, null)
    const locking = await connection(url)
    await locking.query('BEGIN')
    await locking.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [ana])
    const discards = mine.map((file) => files.discard(ana, file, T))
    // Each of them throws when its time is over.
    const settled = Promise.allSettled(discards)
    await expect.poll(() => pool().waiting).toBeGreaterThan(40)
    const first = await Promise.race([users.find(ben).then(() => 'ben'), Promise.race(discards).catch(() => 'ana')])
    expect(first).toBe('ben')
    await settled
    await locking.end()
    expect([await users.find(ana), pool().waiting]).toEqual([expect.objectContaining({ id: ana }), 0])
  })

  it(
    'fails soon where the statements of its user have all connections, and the database is slow',
    SHORTLY,
    async () => {
      const { url, sessions, files } = await kept()
      const { session } = await opened(sessions)
      const { userId } = (await sessions.findByTokenHash(session.tokenHash)) as { userId: string }
      const locking = await connection(url)
      await locking.query('BEGIN')
      await locking.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [userId])
      await expect(files.discard(userId, newFile('slow'), T)).rejects.toThrow()
      const discards = Array.from({ length: 8 }, (_, n) => files.discard(userId, newFile(`file-${n}`), T))
      const settled = Promise.allSettled(discards)
      await expect(sessions.findByTokenHash(session.tokenHash)).rejects.toMatchObject({ code: 'EAGAIN' })
      await settled
      await locking.end()
      expect(await sessions.findByTokenHash(session.tokenHash)).toMatchObject({ userId })
    },
  )

  it('finds a session whose token it knows before very many tokens that open nothing', async () => {
    const db = await kept()
    const { sessions } = db
    const { session } = await opened(sessions)
    await sessions.findByTokenHash(session.tokenHash)
    await connected(db)
    let ended = 0
    // On a slow machine the time of some is over before their turn.
    const strangers = Array.from({ length: 300 }, () =>
      sessions
        .findByTokenHash(randomBytes(32))
        .catch(() => {})
        .finally(() => {
          ended += 1
        }),
    )
    expect(await sessions.findByTokenHash(session.tokenHash)).toMatchObject({ id: session.id })
    expect(ended).toBeLessThan(150)
    await Promise.all(strangers)
  })

  it('finds a session, and checks its health, before very many requests of strangers', async () => {
    const db = await kept()
    const { sessions, pinLedger, users } = db
    const { session } = await opened(sessions)
    await sessions.findByTokenHash(session.tokenHash)
    await connected(db)
    let ended = 0
    const end = () => {
      ended += 1
    }
    const rule = { every: 5, firstPauseMs: MINUTE }
    const guess = (n: number) =>
      pinLedger.count({ deviceId: `device-${n}`, kind: 'pin', address: null, at: T, maxAttempts: 5, rule })
    const register = (n: number) => {
      const address = Buffer.alloc(32, n)
      return [users.findByEmail(`stranger-${n}@example.org`), pinLedger.isPaused(address, T)]
    }
    // On a slow machine the time of some is over before their turn.
    const strangers: Promise<unknown>[] = Array.from({ length: 150 }, (_, n) => [
      ...[guess(n), pinLedger.noteNothing(T)],
      ...register(n),
    ]).flat()
    const all = strangers.map((work) => work.then(end, end))
    expect(await sessions.findByTokenHash(session.tokenHash)).toMatchObject({ id: session.id })
    await databaseCheck(db)()
    expect(ended).toBeLessThan(150)
    await Promise.all(all)
  })

  it('gives a turn to one of many, and to the next where that one is cut off', async () => {
    const { url, ledger } = await kept()
    const other = postgresLedger(await openedDatabase(url))
    let end = () => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    let held: Promise<unknown> | undefined
    await new Promise<void>((begun) => {
      held = ledger.takeTurn(() => {
        begun()
        return over
      })
    })
    const nothing = async () => {}
    expect(await other.takeTurn(nothing)).toBe(false)
    expect(await other.takeTurn(nothing, 'reading-back')).toBe(true)

    await run(
      url,
      `SELECT pg_terminate_backend(pid) FROM pg_locks, hashtextextended('turn ' || current_schema(), 0) AS key
       WHERE locktype = 'advisory' AND objid::bigint = key & x'ffffffff'::bigint`,
    )
    await expect.poll(() => other.takeTurn(nothing), SHORTLY).toBe(true)
    end()
    await held
  })

  it('commits nothing under a run that is ended at the same moment', async () => {
    const { url, files, ledger, ana } = await kept()
    const other = postgresLedger(await openedDatabase(url), { beatMs: MINUTE, silenceMs: 0 })
    const all = Array.from({ length: 40 }, (_, n) => newFile(`file-${n}`))
    const committing = all.map((file) => files.commit(ana, file, null, null))
    const [ended] = await other.endedRuns(null)
    expect(ended).toBe('run')
    // Whoever ended the run decides by this which blobs to delete.
    const named = await ledger.named(all.map(({ blob }) => blob))
    const answers = await Promise.all(committing)
    const done = all.filter((_, n) => answers[n] === 'done').map(({ blob }) => blob)
    expect(done.sort()).toEqual(named.sort())
    expect(new Set(answers)).not.toContain('stale')
  })

  it('lets no commit name a blob that was given up, however late it comes', async () => {
    const { files, ledger, ana } = await kept()
    const [late, other] = [newFile('late'), newFile('other')]
    expect(await ledger.renounce([late.blob])).toEqual([late.blob])
    expect(await files.commit(ana, late, null, null)).toBe('run-ended')
    expect(await files.commit(ana, other, null, null)).toBe('done')
  })

  it('appends nothing under a run that is ended at the same moment', async () => {
    const { url, uploads, ledger, ana } = await kept()
    const other = postgresLedger(await openedDatabase(url), { beatMs: MINUTE, silenceMs: 0 })
    const all = await Promise.all(Array.from({ length: 20 }, () => beginUpload(uploads, ana)))
    const parts = all.map(() => newPart(0, 1))
    const change = { sizeBytes: null, at: T, quotaBytes: null }
    const appending = all.map((upload, n) => uploads.append(ana, upload, parts[n] ?? null, change))
    expect(await other.endedRuns(null)).toEqual(['run'])
    // This decides which blobs are deleted.
    const named = await ledger.named(parts.map(({ blob }) => blob))
    const answers = await Promise.all(appending)
    const done = parts.filter((_, n) => answers[n] === 'done').map(({ blob }) => blob)
    expect(done.sort()).toEqual(named.sort())
    expect(new Set(answers)).not.toContain('stale')
  })

  it('lets no append name a blob that was given up, however late it comes', async () => {
    const { uploads, ledger, ana } = await kept()
    const upload = await beginUpload(uploads, ana)
    const part = newPart(0, 1)
    expect(await ledger.renounce([part.blob])).toEqual([part.blob])
    expect(await uploads.append(ana, upload, part, { sizeBytes: null, at: T, quotaBytes: null })).toBe('run-ended')
  })

  it('counts exactly what many appends, removals and files of uploads come to', async () => {
    const { uploads, users, files, trash, ana } = await kept()
    const change = { sizeBytes: null, at: T, quotaBytes: null }
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const upload = await beginUpload(uploads, ana)
        await Promise.all([1, 2].map((bytes) => uploads.append(ana, upload, newPart(0, n + bytes), change)))
        const { offset = 0 } = (await uploads.find(ana, upload.id)) ?? {}
        const file = { ...newFile(`file-${n % 5}`), sizeBytes: offset, version: upload.id, blob: null }
        await Promise.all([
          files.commit(ana, file, null, null),
          n % 2 === 0 ? uploads.remove(ana, upload.id) : uploads.expire(T, 1, null),
          trash.remove(ana, file.id),
        ])
        await files.discard(ana, file, T)
      }),
    )
    const [{ counted, actual } = { counted: null, actual: null }] = await users.audit(ana.slice(0, -1), 1)
    expect(counted).toEqual(actual)
  })

  it('waits with giving a blob up for a commit that is under way', async () => {
    const { url, ledger, files, ana } = await kept()
    const file = newFile('slow')
    const slow = await connection(url)
    await slow.query('BEGIN')
    await slow.query(
      `SELECT commit_file($1, 'id', 'slow', 1, '', 0, 0, 0, 'v', $2, '', NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0)`,
      [ana, file.blob],
    )
    const renounced = ledger.renounce([file.blob])
    await slow.query('COMMIT')
    await slow.end()
    expect(await renounced).toEqual([])
    expect((await standing(files, ana, 'slow'))?.blob).toBe(file.blob)
  })

  it('forgets what was given up with its run', async () => {
    const { url, ledger } = await kept()
    await ledger.renounce(['run/late', 'run-unknown/late'])
    const renounced = () => run(url, 'SELECT blob FROM renounced')
    expect(await renounced()).toEqual([{ blob: 'run/late' }])
    await run(url, 'UPDATE runs SET ended = true')
    await ledger.forgetRun('run')
    expect(await renounced()).toEqual([])
  })

  it('ends a run that was silent for too long, and none that was not', async () => {
    const { url, ledger, ...db } = await repositories()
    const impatient = postgresLedger(db, SOON)
    for (const name of ['mine', 'silent', 'lively']) await ledger.openRun(name, T, [])
    await silence(url, 'mine', MINUTE)
    await silence(url, 'silent', SOON.silenceMs)
    await silence(url, 'lively', -MINUTE)
    await expect.poll(() => impatient.endedRuns('mine'), SHORTLY).toEqual(['silent'])
    expect(await ledger.goesOn('silent')).toBe(false)
  })

  it('counts no silence while the database was down itself', async () => {
    const { url, ask } = await repositories()
    const ledger = postgresLedger(await openedDatabase(url), { beatMs: MINUTE, silenceMs: 1e12 })
    await ledger.openRun('run', T, [])
    await silence(url, 'run', 1)
    await ask(`UPDATE runs SET beat_at = 'epoch'`)
    expect(await ledger.endedRuns(null)).toEqual([])
  })

  it('beats for its runs until it is closed, which ends them', async () => {
    const { url } = await repositories()
    const ledger = postgresLedger(await openedDatabase(url), { beatMs: 5, silenceMs: MINUTE })
    await ledger.openRun('run', T, [])
    await silence(url, 'run', MINUTE)
    const age = "SELECT beat_at > now() - interval '30 s' AS lively, ended FROM runs"
    await expect.poll(() => run(url, age)).toEqual([{ lively: true, ended: false }])
    await ledger.close()
    expect(await run(url, age)).toEqual([{ lively: true, ended: true }])
  })

  it('never beats for a run that was ended', async () => {
    const { url } = await repositories()
    const ledger = postgresLedger(await openedDatabase(url), { beatMs: 5, silenceMs: MINUTE })
    for (const name of ['over', 'live']) await ledger.openRun(name, T, [])
    await run(url, `UPDATE runs SET beat_at = 'epoch', ended = id = 'over'`)
    await expect.poll(() => run(url, `SELECT id FROM runs WHERE beat_at > 'epoch'`)).toEqual([{ id: 'live' }])
    await ledger.close()
  })

  it('takes runs that fell silent for dead before an operator looks at those that live', async () => {
    const { url, ledger, ...db } = await repositories()
    for (const name of ['silent', 'lively']) await ledger.openRun(name, T, ['key'])
    await silence(url, 'silent', SOON.silenceMs)
    await silence(url, 'lively', -MINUTE)
    const beside = postgresLedgerBeside(db, SOON)
    await expect.poll(() => beside.livingRuns(), SHORTLY).toEqual([{ run: 'lively', keyIds: ['key'] }])
  })

  it('opens one session for one PIN, however many redeem it at once', async () => {
    const { sessions } = await repositories()
    const { user } = await opened(sessions)
    const pins = Array.from({ length: 20 }, () => forUser(user.id, { pinId: 'one' }))
    const answers = await Promise.all(pins.map((one) => sessions.redeem(one)))
    expect(answers.filter((answer) => answer === 'spent')).toHaveLength(19)
    expect(await sessions.list(user.id)).toHaveLength(2)
  })

  it('keeps one session of a device, however many PINs are redeemed on it at once', async () => {
    const { sessions } = await repositories()
    const { user, session } = await opened(sessions)
    const all = Array.from({ length: 20 }, () => forUser(user.id, { session: newSession(session.deviceId) }))
    expect(new Set((await Promise.all(all.map((one) => sessions.redeem(one)))).map(String))).toHaveLength(1)
    expect(await sessions.list(user.id)).toHaveLength(1)
  })

  it('opens no session for a PIN whose session is being ended', async () => {
    const { url, sessions } = await repositories()
    const { user, session } = await opened(sessions)
    const ending = await connection(url)
    await ending.query('BEGIN')
    await ending.query('UPDATE sessions SET ended_at = 1 WHERE id = $1', [session.id])
    const redeeming = sessions.redeem(forUser(user.id, { user: { id: user.id, vouchedBy: session.id } }))
    await ending.query('COMMIT')
    await ending.end()
    expect(await redeeming).toBe('gone')
  })

  it('notes nothing for a user who is being removed', async () => {
    const { url, users, sessions, activity } = await repositories()
    const { user } = await opened(sessions)
    const removing = await connection(url)
    await removing.query('BEGIN')
    await removing.query('SELECT remove_user($1)', [user.id])
    const noting = activity.note(user.id, newEvent(), EACH)
    await removing.query('COMMIT')
    await removing.end()
    await noting
    expect(await users.find(user.id)).toBeNull()
  })

  it('does again what PostgreSQL gave up in favour of another act', async () => {
    const { url, ask } = await repositories()
    // A sequence keeps its place where an act is undone.
    await run(
      url,
      `CREATE SEQUENCE tries; CREATE FUNCTION give_up_twice() RETURNS bigint LANGUAGE plpgsql AS $$
      BEGIN
        IF nextval('tries') < 3 THEN RAISE SQLSTATE '40P01'; END IF;
        RETURN currval('tries');
      END $$`,
    )
    expect(await ask('SELECT give_up_twice() AS tries')).toEqual([{ tries: 3 }])
    await run(url, 'ALTER SEQUENCE tries MINVALUE -9 RESTART WITH -9')
    await expect(ask('SELECT give_up_twice() AS tries')).rejects.toMatchObject({ code: 'EAGAIN' })
  })
})
