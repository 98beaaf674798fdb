import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { OwnedFile, Seen } from '../../src/ports/files.ts'
import { openSecrets, sealSecrets } from '../../src/vault/crypto/envelope.ts'
import { openKeyring } from '../../src/vault/crypto/keyring.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { standing } from '../contracts/rows.ts'
import { blobsOnDisk, DAY, form, MINUTE, member, newDeviceId, SECOND, type TestApp, testApp } from '../support/app.ts'
import { databaseOf, operator } from '../support/operator.ts'
import { sqliteRows } from '../support/rows.ts'

const homeOf = (app: TestApp) => join(app.config.DATA_DIR, '..')

it('deletes the replaced blobs that could not be deleted at once', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('file', 'first')
  app.ports.blobs.delete = async () => {
    throw new Error('the disk does not answer')
  }
  expect((await ada.replace('file', 'second')).status).toBe(200)
  await app.settled()
  expect(app.log.join('\n')).toContain('deleting blobs that no file has any more failed')
  expect(await blobsOnDisk(app)).toHaveLength(2)
  await app.close()

  const next = await testApp({}, homeOf(app))
  await next.settled()
  expect(await blobsOnDisk(next)).toHaveLength(1)
  expect(await next.ports.ledger.garbage(10)).toEqual([])
})

it('keeps what a row names, whatever run wrote it', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('file', 'bytes')
  await app.close()
  for (let run = 0; run < 3; run += 1) {
    const next = await testApp({}, homeOf(app))
    await next.settled()
    const answer = await next.request('/v1/files/file', { headers: { authorization: `Bearer ${ada.token}` } })
    expect(answer.body).toBe('bytes')
    await next.close()
  }
})

it('forgets the dates of vacated names, many of many users, once their second has passed', async () => {
  const app = await testApp()
  const members = [await member(app), await member(app)]
  const db = databaseOf(app)
  const add = db.prepare('INSERT INTO vacated_names (user_id, name, named_at) VALUES (?, ?, ?)')
  for (const { userId } of members) for (let n = 0; n < 150; n += 1) add.run(userId, `${n}`, app.clock() + n * 10)
  const left = () => db.prepare('SELECT count(*) FROM vacated_names').pluck().get()
  const sweep = async () => {
    app.sweep()
    await app.settled()
  }
  await sweep()
  expect(left()).toBe(300)
  app.clock.turn(SECOND)
  await sweep()
  expect(left()).toBe(100)
  app.clock.turn(SECOND)
  await sweep()
  expect(left()).toBe(0)
})

it('gives files of before their tags, so that equal bytes are found', async () => {
  const app = await testApp()
  const [ada, ben, eve] = [await member(app), await member(app), await member(app)]
  for (const name of ['beach.jpg', 'beach (7).jpg', 'damaged', 'trash']) await ada.put(name, name)
  await ada.request('/v1/files/trash', { method: 'DELETE' })
  const [bens, eves] = [await ben.put('bens', 'x'), await eve.put('eves', 'x')].map(
    ({ body }) => body as { id: string },
  )
  const db = databaseOf(app)
  db.exec(`UPDATE files SET tag = NULL; UPDATE files SET seal = zeroblob(105) WHERE name = 'damaged'`)
  db.prepare('DELETE FROM key_slots WHERE user_id = ?').run(ben.userId)
  db.prepare('UPDATE key_slots SET sealed = zeroblob(61) WHERE user_id = ?').run(eve.userId)
  const untagged = async () => (await app.ports.files.untagged('', 100)).map(({ file }) => file.name).sort()
  expect(await untagged()).toHaveLength(6)

  app.sweep()
  await app.settled()
  expect(await untagged()).toEqual(['bens', 'damaged', 'eves'])
  expect((await app.ports.files.byId(bens?.id ?? ''))?.file.tag).toBeNull()
  expect((await app.ports.files.byId(eves?.id ?? ''))?.file.tag).toBeNull()
  const upload = form([{ name: 'file', filename: 'beach.jpg', content: 'beach (7).jpg' }])
  const again = await ada.request('/v1/files?onConflict=rename', { method: 'POST', ...upload })
  expect([again.status, again.body]).toEqual([200, expect.objectContaining({ name: 'beach (7).jpg' })])
})

it('gives tags to more files than fit a batch', async () => {
  const app = await testApp()
  const ada = await member(app)
  const { id } = (await ada.put('first', 'bytes')).body as { id: string }
  const { file } = (await app.ports.files.byId(id)) as OwnedFile
  const { masterKeys, keySlots } = app.ports
  const vaultKey = await openKeyring({ ports: { masterKeys, keySlots, chance: cryptographicChance } }).vaultKey(
    ada.userId,
  )
  const secrets = openSecrets(vaultKey, ada.userId, file)
  const [part] = await app.ports.files.parts(file.version, 0, 1)
  const old = Array.from({ length: 205 }, (_, n) => {
    const seal = sealSecrets(vaultKey, randomBytes(12), ada.userId, `id-${n}`, secrets)
    return { ...file, id: `id-${n}`, name: `old-${n}`, version: `v-${n}`, blob: `${part?.blob}-${n}`, seal, tag: null }
  })
  await Promise.all(old.map((row) => app.ports.files.commit(ada.userId, row, null, null)))
  app.sweep()
  await app.settled()
  expect(await app.ports.files.untagged('', 1)).toEqual([])
  const query = { prefix: 'old-', after: null, limit: 1000 }
  expect(await app.ports.files.tagged(ada.userId, file.tag as Buffer, query)).toHaveLength(205)
})

it('forgets sessions that are over', async () => {
  const app = await testApp()
  const [ada, ben] = [await member(app), await member(app)]
  app.clock.turn(20 * DAY)
  await ben.request('/v1/files')
  await app.settled()
  app.clock.turn(11 * DAY)
  app.sweep()
  await app.settled()
  expect(await app.ports.sessions.find(ada.userId, ada.sessionId)).toBeNull()
  expect(await app.ports.sessions.find(ben.userId, ben.sessionId)).not.toBeNull()
})

it('forgets PINs of the operator that have expired', async () => {
  const app = await testApp()
  const { email } = await member(app)
  const { vault } = await operator(app)
  const kept = () => sqliteRows(app.config.DATA_DIR).handed_out_pins
  await vault.handOutPin(email, newDeviceId())
  app.sweep()
  await app.settled()
  expect(kept()).toHaveLength(1)
  app.clock.turn(DAY)
  app.sweep()
  await app.settled()
  expect(kept()).toEqual([])
})

it('gives up once what a fault left in doubt', async () => {
  const app = await testApp()
  const ada = await member(app)
  const { ledger, files } = app.ports
  const { commit } = files
  files.commit = async () => {
    throw new Error('the database does not answer')
  }
  await ada.put('doubtful', 'bytes')
  files.commit = commit
  expect(await blobsOnDisk(app)).toHaveLength(1)
  const { renounce } = ledger
  const renounced: string[] = []
  ledger.renounce = (blobs) => {
    renounced.push(...blobs)
    return renounce(blobs)
  }
  for (let n = 0; n < 2; n += 1) {
    app.sweep()
    await app.settled()
  }
  expect(renounced).toHaveLength(1)
  expect(await blobsOnDisk(app)).toEqual([])
})

describe('while somebody holds the blobs', () => {
  it('deletes none, and all of them once the hold is over', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const name of ['replaced', 'kept', 'removed']) await ada.put(name, name)
    await app.ports.ledger.hold('backup', app.clock(), app.clock() + MINUTE)
    await ada.replace('replaced', 'by this')
    const removed = await standing(app.ports.files, ada.userId, 'removed')
    await app.ports.files.discard(ada.userId, removed as Seen, app.clock() - 31 * DAY)
    app.sweep()
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(4)
    app.clock.turn(MINUTE)
    app.sweep()
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(2)
    expect(await app.ports.ledger.garbage(10)).toEqual([])
  })

  it('leaves what a crash left, and what a fault left in doubt', async () => {
    const app = await testApp()
    const ada = await member(app)
    const { commit } = app.ports.files
    app.ports.files.commit = async () => {
      throw new Error('the database does not answer')
    }
    await ada.put('doubtful', 'bytes')
    app.ports.files.commit = commit
    await app.ports.ledger.hold('backup', app.clock(), app.clock() + DAY)
    app.sweep()
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
    await app.close()

    const next = await testApp({}, homeOf(app))
    await next.settled()
    expect(await blobsOnDisk(next)).toHaveLength(1)
    next.clock.turn(DAY)
    next.sweep()
    await next.settled()
    expect(await blobsOnDisk(next)).toEqual([])
  })
})

it('is not held up by a file that is no blob', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('file', 'bytes')
  const row = await standing(app.ports.files, ada.userId, 'file')
  await writeFile(join(app.config.UPLOADS_DIR, dirname(row?.blob ?? ''), '.nfs0001'), '')
  await app.close()
  const next = await testApp({}, homeOf(app))
  await next.settled()
  expect(next.log.join('\n')).not.toContain('failed')
  expect((await blobsOnDisk(next)).sort()).toHaveLength(2)
})

it('does the rest of a round where one step of it fails', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('file', 'first')
  await app.ports.ledger.hold('backup', app.clock(), app.clock() + MINUTE)
  await ada.replace('file', 'second')
  app.clock.turn(MINUTE)
  app.ports.trash.expire = async () => {
    throw new Error('the database does not answer')
  }
  app.sweep()
  await app.settled()
  expect(app.log.join('\n')).toContain('emptying the trash failed')
  expect(await blobsOnDisk(app)).toHaveLength(1)
})

it('acknowledges what was removed for good, though its blob could not be deleted yet', async () => {
  const app = await testApp()
  const ada = await member(app)
  const { id } = (await ada.put('file', 'bytes')).body as { id: string }
  await ada.request('/v1/files/file', { method: 'DELETE' })
  const { delete: real } = app.ports.blobs
  app.ports.blobs.delete = async () => {
    throw new Error('the disk does not answer')
  }
  expect((await ada.request(`/v1/trash/${id}`, { method: 'DELETE' })).status).toBe(204)
  expect(app.log.join('\n')).toContain('deleting blobs that no file has any more failed')
  app.ports.blobs.delete = real
  app.sweep()
  await app.settled()
  expect(await blobsOnDisk(app)).toEqual([])
})

it('finishes the removal of a user that was broken off', async () => {
  const app = await testApp()
  const ada = await member(app)
  for (const name of ['one', 'two']) await ada.put(name, name)
  await app.ports.users.remove(ada.userId)
  app.sweep()
  await app.settled()
  expect(await blobsOnDisk(app)).toEqual([])
  expect(await app.ports.users.departed(10)).toEqual([])
})
