import { join } from 'node:path'
import { expect, it } from 'vitest'
import { blobsOnDisk, DAY, member, type TestApp, testApp } from '../support/app.ts'

const homeOf = (app: TestApp) => join(app.config.DATA_DIR, '..')

it('deletes the replaced blobs that could not be deleted at once', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('file', 'first')
  app.ports.blobs.delete = async () => {
    throw new Error('the disk does not answer')
  }
  expect((await ada.put('file', 'second')).status).toBe(200)
  await app.settled()
  expect(app.log.join('\n')).toContain('deleting a replaced blob failed')
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
