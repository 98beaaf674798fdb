/** The contract of every database for the operator's commands, which see all users at once. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { SealedFile } from '../../src/ports/files.ts'
import { BOUNDS, newEvent, type Repositories, rowOf, UNDATED, type WholeFile } from './rows.ts'

const random = () => randomBytes(8).toString('hex')
const T = Date.UTC(2026, 10, 22)

export function operatorContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} shows its operator`, () => {
    it('everybody’s files and trash, page by page', async () => {
      const { files, ana, ben } = await withUsers(make)
      const all = []
      for (const owner of [ana, ben, ana, ben, ana]) {
        const file = newFile()
        await files.commit(owner, file, null, null)
        all.push({ owner, file: rowOf(file) })
      }
      await files.discard(ana, (all[0] as { file: SealedFile }).file, T)
      all.sort((a, b) => (a.file.id < b.file.id ? -1 : 1))
      expect(await files.page('', 100)).toEqual(all)
      expect(await files.page('', 2)).toEqual(all.slice(0, 2))
      expect(await files.page(all[1]?.file.id as string, 2)).toEqual(all.slice(2, 4))
      expect(await files.page(all[4]?.file.id as string, 2)).toEqual([])
    })

    it('a file by its id, whoever owns it and wherever it is', async () => {
      const { files, trash, ana } = await withUsers(make)
      const file = newFile()
      await files.commit(ana, file, null, null)
      expect(await files.byId(file.id)).toEqual({ owner: ana, file: rowOf(file) })
      await files.discard(ana, file, T)
      expect(await files.byId(file.id)).toEqual({ owner: ana, file: rowOf(file) })
      await trash.remove(ana, file.id)
      expect(await files.byId(file.id)).toBeNull()
    })

    it('what is counted for each user, and what their files come to', async () => {
      const { users, files, trash, ana, ben } = await withUsers(make)
      const [kept, binned, gone] = [newFile(), newFile(), newFile()]
      for (const file of [kept, binned, gone]) await files.commit(ana, file, null, null)
      for (const file of [binned, gone]) await files.discard(ana, file, T)
      await trash.remove(ana, gone.id)
      const used = { files: 1, trashFiles: 1, bytes: kept.sizeBytes + binned.sizeBytes }
      const nothing = { files: 0, trashFiles: 0, bytes: 0 }
      const [first, second] = [
        { id: ana, counted: used, actual: used },
        { id: ben, counted: nothing, actual: nothing },
      ].sort((a, b) => (a.id < b.id ? -1 : 1))
      expect(await users.audit('', 100)).toEqual([first, second])
      expect(await users.audit('', 1)).toEqual([first])
      expect(await users.audit(first?.id as string, 1)).toEqual([second])
    })

    it('all users with what they use, their sessions, and when they were last seen', async () => {
      const { users, files, sessions, ana, ben } = await withUsers(make)
      const [kept, binned] = [newFile(), newFile()]
      for (const file of [kept, binned]) await files.commit(ana, file, null, null)
      await files.discard(ana, binned, T)
      const [session] = await sessions.list(ana)
      await sessions.touch(ana, session?.id as string, T + 5000)
      await sessions.endOthers(ben, '', T + 9000)
      const common = { createdAt: T, trashFiles: 0, files: 0, bytes: 0 }
      const [first, second] = [
        {
          ...common,
          id: ana,
          email: `${ana}@example.org`,
          files: 1,
          trashFiles: 1,
          bytes: kept.sizeBytes + binned.sizeBytes,
          sessions: 1,
          lastSeenAt: T + 5000,
        },
        { ...common, id: ben, email: `${ben}@example.org`, sessions: 0, lastSeenAt: T },
      ].sort((a, b) => (a.id < b.id ? -1 : 1))
      expect(await users.page('', 100)).toEqual([first, second])
      expect(await users.page('', 1)).toEqual([first])
      expect(await users.page(first?.id as string, 1)).toEqual([second])
      await sessions.forget(T + 10_000, T + 10_000, T + 10_000)
      expect((await users.page('', 100)).map(({ sessions, lastSeenAt }) => [sessions, lastSeenAt])).toEqual([
        [0, T],
        [0, T],
      ])
    })

    it('the blobs that parts name, garbage included', async () => {
      const { files, ledger, ana } = await withUsers(make)
      const [first, second] = [newFile(), newFile()]
      await files.commit(ana, first, null, null)
      await files.commit(ana, { ...second, name: first.name }, first.version, null)
      const blobs = [first.blob, 'run/none', second.blob]
      expect((await ledger.named(blobs)).sort()).toEqual([first.blob, second.blob].sort())
      await ledger.forgetGarbage([first.blob, second.blob])
      expect(await ledger.named(blobs)).toEqual([second.blob])
    })

    it('every run as ended, to a process that has none', async () => {
      const { ledger } = await withUsers(make)
      expect(await ledger.endedRuns(null)).toEqual(['run'])
    })
  })
}

async function withUsers(make: () => Promise<Repositories>) {
  const repositories = await make()
  await repositories.ledger.openRun('run', T, [])
  const [ana, ben] = [random(), random()]
  for (const id of [ana, ben]) {
    const slot = { kind: 'server' as const, keyId: 'key', sealed: randomBytes(61) }
    const user = { id, name: 'Ada', email: `${id}@example.org`, confirmedBy: 'response' as const, createdAt: T, slot }
    const session = { id: random(), deviceId: random(), deviceName: null, tokenHash: randomBytes(32), createdAt: T }
    await repositories.sessions.redeem({
      pinId: random(),
      session,
      user,
      givenBack: null,
      event: newEvent(),
      bounds: BOUNDS,
    })
  }
  return { ...repositories, ana, ben }
}

function newFile(): WholeFile {
  const times = { createdAt: T, updatedAt: T }
  const content = {
    sizeBytes: 1000,
    contentType: 'image/jpeg',
    namedAt: times.updatedAt,
    version: random(),
    blob: `run/${random()}`,
    seal: randomBytes(105),
    tag: null,
    ...UNDATED,
  }
  return { id: random(), name: random(), ...times, ...content }
}
