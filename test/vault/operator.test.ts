import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { allUsers, measureBlobs } from '../../src/vault/operator/operator.ts'
import { forNewUser, standing } from '../contracts/rows.ts'
import { blobsOnDisk, DAY, member, newDeviceId, pinFrom, testApp } from '../support/app.ts'
import { databaseOf, operator } from '../support/operator.ts'

async function* one(text: string) {
  yield [Buffer.from(text)]
}

describe('the operator', () => {
  it('goes through more users than one page has, each once', async () => {
    const { ports } = await testApp()
    for (let n = 0; n < 101; n += 1) await ports.sessions.redeem(forNewUser())
    const ids = []
    for await (const { id } of allUsers(ports.users)) ids.push(id)
    expect(ids).toHaveLength(101)
    expect(ids).toEqual([...new Set(ids)].sort())
  })

  it('sweeps beside a server what no run can name any more, and leaves its folder alone', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    const [run] = (await app.ports.blobs.runs()) as [string]
    await app.ports.blobs.put(`${run}/on-its-way`, one('bytes'))
    const file = await standing(app.ports.files, ada.userId, 'file')
    if (file) await app.ports.files.discard(ada.userId, file, app.clock())
    await app.ports.ledger.openRun('former', 0, [])
    await app.ports.ledger.endedRuns(run)
    await app.ports.blobs.put('former/left', one('bytes'))
    await mkdir(join(app.config.UPLOADS_DIR, 'long-empty'))
    app.clock.turn(31 * DAY)
    const { vault, ports } = await operator(app)
    await vault.sweep()
    expect(await blobsOnDisk(app)).toEqual(['on-its-way'])
    expect(await readdir(app.config.UPLOADS_DIR)).toEqual([run])
    await app.ports.blobs.delete([`${run}/on-its-way`])
    await ports.blobs.delete([`${run}/on-its-way`])
    const ben = await member(app)
    expect((await ben.put('file', 'bytes')).status).toBe(201)
    expect(await ports.census()).toMatchObject({ users: 2, files: { count: 1 }, garbage: 0 })
  })

  it('signs a user out everywhere, voids the PINs that those sessions asked for, and notes it', async () => {
    const app = await testApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const pin = await pinFrom(ada, deviceId)
    const { vault, ports } = await operator(app)
    expect(await vault.endSessions(ada.userId)).toBe(1)
    expect((await ada.get('/v1/files')).status).toBe(401)
    expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
    expect(await ports.activity.list(ada.userId, { since: 0, after: null, limit: 10 })).toContainEqual(
      expect.objectContaining({ kind: 'session-revoked', userAgent: 'the operator of this server' }),
    )
    expect(await vault.endSessions(ada.userId)).toBe(0)
  })

  it('sweeps without a server whatever a crash has left', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    const [run] = (await app.ports.blobs.runs()) as [string]
    await app.ports.blobs.put(`${run}/half`, one('bytes'))
    await app.close()
    const { vault, ports } = await operator(app)
    await vault.sweep()
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect((await ports.census()).runs).toBe(0)
  })

  it('removes a user as the user could, beside a server that goes on', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app, 'ada@example.org'), await member(app)]
    await ada.put('file', 'bytes')
    await ben.put('file', 'bytes')
    const { vault, alarms } = await operator(app)
    const found = await vault.findUser('ADA@example.org')
    expect(found?.id).toBe(ada.userId)
    expect(await vault.findUser(ada.userId)).toEqual(found)
    expect(await vault.findUser('nobody')).toBeNull()
    expect(await vault.removeUser(ada.userId)).toBe(true)
    expect(await vault.removeUser(ada.userId)).toBe(false)
    expect((await ada.get('file')).status).toBe(401)
    expect((await ben.get('file')).body).toBe('bytes')
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect(alarms).toEqual([])
    expect(databaseOf(app).prepare('SELECT * FROM departed').all()).toEqual([])
    await ben.put('another', 'bytes')
    await vault.removeUser(ben.userId)
    const eve = await member(app)
    expect((await eve.put('file', 'bytes')).status).toBe(201)
  })

  it.each(['the operator', 'a session'])('hands out a PIN of which the latest counts: that of %s', async (latest) => {
    const app = await testApp()
    const ada = await member(app)
    const { vault } = await operator(app)
    const deviceId = newDeviceId()
    const ask = {
      'the operator': async () => (await vault.handOutPin(ada.userId, deviceId))?.pin as string,
      'a session': () => pinFrom(ada, deviceId),
    }
    const [first, second] = latest === 'a session' ? Object.values(ask) : Object.values(ask).reverse()
    const older = (await first?.()) as string
    let newer = older
    while (newer === older) {
      app.clock.turn(1)
      newer = (await second?.()) as string
    }
    expect(await app.post('/v1/sessions', { deviceId, pin: older })).toBeProblem(401, 'invalid-pin')
    expect((await app.post('/v1/sessions', { deviceId, pin: newer })).status).toBe(201)
    expect(await app.post('/v1/sessions', { deviceId, pin: older })).toBeProblem(401, 'invalid-pin')
  })

  it('hears of keys that could not be forgotten yet', async () => {
    const app = await testApp()
    const ada = await member(app)
    const reader = databaseOf(app)
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM users').get()
    const { vault, alarms } = await operator(app)
    expect(await vault.removeUser(ada.userId)).toBe(true)
    expect(alarms).toEqual([expect.stringContaining('another process is reading the database')])
    reader.exec('COMMIT')
    await vault.sweep()
    expect(reader.prepare('SELECT * FROM departed').all()).toEqual([])
  })

  it('counts everything', async () => {
    const app = await testApp()
    const [ada] = [await member(app), await member(app)]
    await ada.put('a', 'bytes')
    await ada.put('b', 'more bytes')
    const file = await standing(app.ports.files, ada.userId, 'b')
    if (file) await app.ports.files.discard(ada.userId, file, app.clock())
    await app.ports.ledger.hold('backup', app.clock(), app.clock() + 1000)
    await ada.replace('a', 'other bytes')
    await app.settled()
    const { ports } = await operator(app)
    expect(await ports.census()).toEqual({
      users: 2,
      sessions: 2,
      files: { count: 1, bytes: 11 },
      trash: { count: 1, bytes: 10 },
      thumbnails: { count: 0, bytes: 0 },
      uploads: { count: 0, bytes: 0 },
      readBack: { never: 2, failed: 0, oldestAt: null },
      garbage: 1,
      runs: 1,
      slots: { [Object.keys(Object.fromEntries(await ports.keySlots.countByKey()))[0] as string]: 3 },
      holds: 1,
      schema: expect.any(Number),
      databaseBytes: expect.any(Number),
    })
    expect(await measureBlobs(ports.blobs)).toEqual({ count: 3, bytes: 3 * 56 + 26 })
    const shrinking = { ...ports.blobs, length: async () => null }
    expect(await measureBlobs(shrinking)).toEqual({ count: 0, bytes: 0 })
  })
})
