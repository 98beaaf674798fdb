import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { keyIdOf } from '../../src/vault/crypto/keyring.ts'
import { isDone } from '../../src/vault/operator/rotation.ts'
import { type Member, member, memberWith, type TestApp, testApp } from '../support/app.ts'
import { databaseOf, operator } from '../support/operator.ts'

const newKey = () => randomBytes(32)
const text = (key: Buffer) => key.toString('base64')
const [OLD, NEW] = [newKey(), newKey()]
const ROTATING = { MASTER_KEY: text(NEW), MASTER_KEY_PREVIOUS: text(OLD) }
const unhurried = async () => {}
/** Slots that belong to no user. */
const SERVERS_OWN = 1

/** A server under the new key with users from when it had the old one. */
async function rotating(users = 3) {
  const before = await testApp({ MASTER_KEY: text(OLD) })
  const members: Member[] = []
  for (let n = 0; n < users; n += 1) members.push(await member(before))
  await members[0]?.put('file', 'bytes')
  const home = join(before.config.DATA_DIR, '..')
  await before.close()
  const app = await testApp(ROTATING, home)
  return { app, home, ada: memberWith(app, members[0] as Member) }
}

const oldSlots = (app: TestApp) => databaseOf(app).prepare<[], Buffer>('SELECT sealed FROM key_slots').pluck().all()

describe('a new master key', () => {
  it('takes over every vault key, and leaves nothing of the old slots', async () => {
    const { app, home, ada } = await rotating()
    const old = oldSlots(app)
    const { vault, audited } = await operator(app)
    const report = await vault.rotate(unhurried)
    expect(audited).toEqual(['master-key-rotated'])
    expect(report).toEqual({
      current: keyIdOf(NEW),
      replaced: 3 + SERVERS_OWN,
      slots: { [keyIdOf(NEW)]: 3 + SERVERS_OWN },
      locked: [],
      sealing: [],
      purged: true,
    })
    expect(isDone(report)).toBe(true)
    for (const name of ['minikeepsafe.db', 'minikeepsafe.db-wal']) {
      const bytes = await readFile(join(app.config.DATA_DIR, name))
      expect(old.filter((slot) => bytes.includes(slot))).toEqual([])
    }
    expect((await ada.get('file')).body).toBe('bytes')
    await app.close()
    const after = await testApp({ MASTER_KEY: text(NEW) }, home)
    const again = await after.request('/v1/files/file', { headers: { authorization: `Bearer ${ada.token}` } })
    expect(again.body).toBe('bytes')
  })

  it('goes on where it was broken off', async () => {
    const { app } = await rotating(150)
    const { vault } = await operator(app)
    const brokenOff = vault.rotate(async () => {
      throw new Error('broken off')
    })
    await expect(brokenOff).rejects.toThrow('broken off')
    expect(Object.fromEntries(await app.ports.keySlots.countByKey())).toEqual({
      [keyIdOf(OLD)]: 50 + SERVERS_OWN,
      [keyIdOf(NEW)]: 100,
    })
    expect(await vault.rotate(unhurried)).toMatchObject({
      replaced: 50 + SERVERS_OWN,
      slots: { [keyIdOf(NEW)]: 150 + SERVERS_OWN },
    })
  })

  it('is refused while a running server could not open it', async () => {
    const app = await testApp({ MASTER_KEY: text(OLD) })
    await member(app)
    const { vault } = await operator(app, ROTATING)
    await expect(vault.rotate(unhurried)).rejects.toThrow(/a running server cannot open .*MASTER_KEY_PREVIOUS/)
    await app.close()
    expect(isDone(await vault.rotate(unhurried))).toBe(true)
  })

  it('is refused without the keys that are in use', async () => {
    const { app } = await rotating()
    const { vault } = await operator(app, { MASTER_KEY: text(newKey()), MASTER_KEY_PREVIOUS: text(NEW) })
    await expect(vault.rotate(unhurried)).rejects.toThrow(`locked with master key ${keyIdOf(OLD)}`)
  })

  it('is not done while a running server still locks with the old one, and says so', async () => {
    const app = await testApp({ MASTER_KEY: text(OLD), MASTER_KEY_PREVIOUS: text(NEW) })
    const ada = await member(app)
    await ada.put('file', 'bytes')
    const { vault } = await operator(app, ROTATING)
    const report = await vault.rotate(unhurried)
    expect(report).toMatchObject({ replaced: 1 + SERVERS_OWN, sealing: [keyIdOf(OLD)] })
    expect(isDone(report)).toBe(false)
    expect((await ada.get('file')).body).toBe('bytes')
    await member(app)
    expect(await vault.rotate(unhurried)).toMatchObject({
      replaced: 1,
      slots: { [keyIdOf(NEW)]: 2 + SERVERS_OWN },
    })
  })

  it('passes over slots that do not open, and names their users', async () => {
    const { app, ada } = await rotating(3)
    databaseOf(app).prepare('UPDATE key_slots SET sealed = zeroblob(61) WHERE user_id = ?').run(ada.userId)
    const report = await (await operator(app)).vault.rotate(unhurried)
    expect(report).toMatchObject({ replaced: 2 + SERVERS_OWN, locked: [ada.userId] })
    expect(isDone(report)).toBe(false)
  })

  it('does not mind slots that go or change meanwhile', async () => {
    const { app, ada } = await rotating(2)
    const { vault, ports } = await operator(app)
    const { notUnder } = ports.keySlots
    ports.keySlots.notUnder = async (...args) => {
      ports.keySlots.notUnder = notUnder
      const slots = await notUnder(...args)
      await app.ports.users.remove(ada.userId)
      return slots
    }
    expect(await vault.rotate(unhurried)).toMatchObject({
      replaced: 1 + SERVERS_OWN,
      slots: { [keyIdOf(NEW)]: 1 + SERVERS_OWN },
      locked: [],
    })
  })

  it('is not done while the log cannot be emptied', async () => {
    const { app } = await rotating(1)
    const reader = databaseOf(app)
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM users').get()
    const { vault } = await operator(app)
    const report = await vault.rotate(unhurried)
    expect([report.purged, isDone(report)]).toEqual([false, false])
    reader.exec('COMMIT')
    expect(isDone(await vault.rotate(unhurried))).toBe(true)
  })
})
