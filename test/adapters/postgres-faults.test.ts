/** A database that is away, hangs, or takes no writes: told by the codes that `ports.ts` promises, and in time. */
import { expect, it, onTestFinished } from 'vitest'
import { databaseCheck, openDatabase } from '../../src/adapters/postgres/database.ts'
import { openPostgres, openPostgresBeside, repositoriesOf } from '../../src/adapters/postgres/engine.ts'
import { describePostgres, emptySchema, openedDatabase, postgresWire, run, SERVER } from '../support/postgres.ts'

const NOT_REACHED = { code: 'EAGAIN' }
const LOST = { code: 'ECONNABORTED' }

async function throughWire() {
  const wire = await postgresWire(await emptySchema())
  return { ...wire, ...(await openedDatabase(wire.url)) }
}

/** A function in the database that fails with this SQLSTATE. */
async function failing(state: string) {
  const { url, ask } = await openedDatabase()
  await run(url, `CREATE FUNCTION fail() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '${state}'; END $$`)
  return ask('SELECT fail()').then(
    () => null,
    (error: { code: string }) => error.code,
  )
}

describePostgres('PostgreSQL', () => {
  it('that is not there changes nothing, and is found again by itself', async () => {
    const { ask, askOn, alone, cut, mend } = await throughWire()
    cut()
    await expect.poll(() => ask('SELECT 1').catch((error) => error)).toMatchObject(NOT_REACHED)
    await expect(alone((ask) => ask('SELECT 1'))).rejects.toMatchObject(NOT_REACHED)
    await expect(askOn('SELECT $1::integer', [1])).rejects.toMatchObject(NOT_REACHED)
    await mend()
    expect(await ask('SELECT 2 AS two')).toEqual([{ two: 2 }])
  })

  it('that breaks off before it has answered may have done what it was asked for', async () => {
    const { ask, alone, asked, hold, cut, mend } = await throughWire()
    await ask('CREATE TABLE marks (n integer)')
    for (const act of [ask, (text: string) => alone((ask) => ask(text))]) {
      hold('answers')
      const outcome = act('INSERT INTO marks VALUES (1)').catch((error) => error)
      await expect.poll(() => asked().at(-1)).toContain('INSERT')
      cut()
      expect(await outcome).toMatchObject({ code: expect.stringMatching(/ECONNABORTED|EAGAIN/) })
      await mend()
    }
  })

  it('that breaks off while slots are purged has not said that they are', async () => {
    const { asked, holdOne, cut, ...db } = await throughWire()
    holdOne(/VACUUM/, 'everything')
    const purging = repositoriesOf(db).keySlots.purge()
    purging.catch(() => {})
    await expect.poll(() => asked().at(-1)).toContain('VACUUM')
    cut()
    await expect(purging).rejects.toMatchObject(LOST)
  })

  it.each(['answers', 'everything'] as const)('that keeps back %s is given up in time', async (what) => {
    const { ask, hold, mend } = await throughWire()
    await ask('SELECT 1')
    hold(what)
    const many = Array.from({ length: 25 }, () => ask('SELECT 2').catch((error) => error.code))
    const codes = await Promise.all(many)
    expect(codes.filter((code) => code === LOST.code).length).toBeGreaterThan(0)
    expect(codes.every((code) => [LOST.code, NOT_REACHED.code].includes(code as string))).toBe(true)
    await mend()
    expect(await ask('SELECT 3 AS three')).toEqual([{ three: 3 }])
  })

  it('ends by itself what takes too long, and undoes it', async () => {
    const { ask } = await openedDatabase()
    await expect(ask('SELECT pg_sleep(20)')).rejects.toMatchObject({
      code: expect.stringMatching(/EAGAIN|ECONNABORTED/),
    })
  })

  it.each([
    ['53100', 'ENOSPC'],
    ['25006', 'EROFS'],
    ['40001', 'EAGAIN'],
    ['40P01', 'EAGAIN'],
    ['55P03', 'EAGAIN'],
    ['57014', 'EAGAIN'],
    ['57P01', 'ECONNABORTED'],
    ['08006', 'ECONNABORTED'],
    ['23505', 'EPOSTGRES'],
  ])('says with %s what is called %s here', async (state, code) => {
    expect(await failing(state)).toBe(code)
  })

  it('ends a statement whose commit may hang only if it is not executed any more', async () => {
    const { ask, askOn, hold, mend } = await throughWire()
    await askOn('SELECT pg_sleep($1)', [1.2])
    await ask('SELECT 1')
    hold('everything')
    await expect(askOn('SELECT pg_sleep($1)', [0])).rejects.toMatchObject(LOST)
    await mend()
    await askOn('SELECT $1::integer', [1])
  })

  it('that is paused refuses what writes, and nothing else', async () => {
    const { ask, call, pauseWrites } = await openedDatabase()
    const why = Object.assign(new Error('the standby is away'), { code: 'EAGAIN' })
    pauseWrites(why)
    await expect(ask(`INSERT INTO holds VALUES ('id', 0)`)).rejects.toBe(why)
    await expect(call('end_runs', { ids: [], silent_for: '0' })).rejects.toBe(why)
    expect(await ask('SELECT 1 AS one')).toEqual([{ one: 1 }])
    pauseWrites(null)
    await ask(`INSERT INTO holds VALUES ('id', 0)`)
  })

  it('that is closed does not wait for a statement whose commit hangs', async () => {
    const db = openDatabase(await emptySchema())
    const asleep = db.askOn('SELECT pg_sleep($1)', [60]).catch((error) => error)
    await expect
      .poll(() => run(SERVER, "SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep($1)%'"))
      .not.toEqual([])
    await db.close()
    expect(await asleep).toMatchObject(LOST)
  })

  it('with no connection left changes nothing', async () => {
    const url = new URL(await emptySchema())
    const role = url.searchParams.get('options')?.split('=').at(-1) as string
    await run(url.href, `CREATE ROLE ${role} LOGIN CONNECTION LIMIT 0`)
    onTestFinished(async () => void (await run(SERVER, `DROP ROLE ${role}`)))
    url.username = role
    await expect(openPostgres(url.href)).rejects.toMatchObject(NOT_REACHED)
    await expect(openPostgresBeside(url.href)).rejects.toMatchObject(NOT_REACHED)
  })

  it('is not well while it takes no writes', async () => {
    const { url, ...db } = await openedDatabase()
    await databaseCheck(db)()
    const readOnly = new URL(url)
    readOnly.searchParams.set('options', `${readOnly.searchParams.get('options')} -c default_transaction_read_only=on`)
    const standby = openDatabase(readOnly.href)
    onTestFinished(standby.close)
    await expect(databaseCheck(standby)()).rejects.toMatchObject({ code: 'EROFS' })
    await expect(standby.ask(`INSERT INTO holds VALUES ('id', 0)`)).rejects.toMatchObject({ code: 'EROFS' })
  })

  it('says at which address it was looked for, and never with what password', async () => {
    const closed = 'postgres://ada:a-secret@localhost:1/vault'
    const error = await openPostgres(closed).catch((error: Error) => error)
    expect(String(error)).toMatch(/PostgreSQL cannot be reached: .*ECONNREFUSED/)
    expect(JSON.stringify([String(error), Object.entries(error)])).not.toContain('a-secret')
  })
})

describePostgres('an answer that came in time', () => {
  it('counts, although the event loop was too late to read it', async () => {
    const db = await openedDatabase()
    const answers = Array.from({ length: 2 }, () => db.ask<{ one: number }>('SELECT 1 AS one'))
    await Promise.all(answers)
    const late = db.ask<{ one: number }>('SELECT 1 AS one')
    // By now the statement is sent.
    await new Promise(setImmediate)
    const end = performance.now() + 1700
    while (performance.now() < end);
    expect(await late).toEqual([{ one: 1 }])
  })
})
