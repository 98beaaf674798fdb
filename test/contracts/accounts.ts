/** The contract of every database for usage, renames, trash, removed users, key slots and holds. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { TrashQuery } from '../../src/ports/files.ts'
import {
  discarded,
  forNewUser,
  forUser,
  names,
  newFile,
  newSlot,
  opened,
  type Repositories,
  rowOf,
  sized,
  standing,
  T,
  type WholeFile,
  withOwners,
} from './rows.ts'

/** `T` is the first moment of a second. */
const SECOND_AFTER_T = T + 1000

/** A quota of bytes alone, and one of files alone. */
const bytes = (count: number) => ({ bytes: count, files: Number.MAX_SAFE_INTEGER })
const filesOf = (count: number) => ({ bytes: null, files: count })

export function accountsContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} counts what a user keeps`, () => {
    it('live files and trash by number, both together by bytes', async () => {
      const { users, files, trash, ana, ben } = await withOwners(make)
      const [one, two] = [sized('one', 100), sized('two', 20)]
      await files.commit(ana, one, null, null)
      await files.commit(ana, two, null, null)
      expect(await users.usage(ana)).toEqual({ files: 2, trashFiles: 0, bytes: 120 })
      const smaller = { ...sized('one', 30), id: one.id }
      await files.commit(ana, smaller, one.version, null)
      expect(await users.usage(ana)).toEqual({ files: 2, trashFiles: 0, bytes: 50 })
      await files.discard(ana, two, T)
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 1, bytes: 50 })
      await files.edit(ana, smaller, { name: 'three', taken: null }, 9)
      expect(await trash.restore(ana, two, 'two', 9)).toBe('done')
      expect(await users.usage(ana)).toEqual({ files: 2, trashFiles: 0, bytes: 50 })
      await files.discard(ana, two, T)
      await trash.remove(ana, two.id)
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 0, bytes: 30 })
      expect(await users.usage(ben)).toEqual({ files: 0, trashFiles: 0, bytes: 0 })
      expect(await users.usage('nobody')).toEqual({ files: 0, trashFiles: 0, bytes: 0 })
    })

    it('and refuses what would be more than the quota', async () => {
      const { users, files, ledger, ana } = await withOwners(make)
      const one = sized('one', 60)
      expect(await files.commit(ana, one, null, bytes(100))).toBe('done')
      expect(await files.commit(ana, sized('two', 41), null, bytes(100))).toBe('quota')
      expect(await standing(files, ana, 'two')).toBeNull()
      expect(await files.commit(ana, sized('two', 40), null, bytes(100))).toBe('done')
      expect(await files.commit(ana, { ...sized('one', 61), id: one.id }, one.version, bytes(100))).toBe('quota')
      expect(await standing(files, ana, 'one')).toEqual(one)
      expect(await ledger.garbage(10)).toEqual([])
      expect(await users.usage(ana)).toEqual({ files: 2, trashFiles: 0, bytes: 100 })
    })

    it('and lets who is over the quota make a file smaller', async () => {
      const { files, ana } = await withOwners(make)
      const one = sized('one', 60)
      await files.commit(ana, one, null, null)
      expect(await files.commit(ana, { ...sized('one', 59), id: one.id }, one.version, bytes(10))).toBe('done')
      expect(await files.commit(ana, sized('empty', 0), null, bytes(10))).toBe('done')
    })

    it('and lets as many of those who come at once pass as fit', async () => {
      const { users, files, ana } = await withOwners(make)
      const all = Array.from({ length: 20 }, (_, n) => files.commit(ana, sized(`file-${n}`, 30), null, bytes(100)))
      const answers = await Promise.all(all)
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(3)
      expect(await users.usage(ana)).toEqual({ files: 3, trashFiles: 0, bytes: 90 })
    })

    it('and refuses what would be more files than the quota, the trash included', async () => {
      const { users, files, trash, ana, ben } = await withOwners(make)
      const [one, two] = [sized('one', 0), sized('two', 0)]
      expect(await files.commit(ana, one, null, filesOf(2))).toBe('done')
      expect(await files.commit(ana, two, null, filesOf(2))).toBe('done')
      expect(await files.commit(ana, sized('three', 0), null, filesOf(2))).toBe('quota-files')
      await files.discard(ana, two, T)
      expect(await files.commit(ana, sized('two', 0), null, filesOf(2))).toBe('quota-files')
      expect(await files.commit(ben, sized('one', 0), null, filesOf(1))).toBe('done')
      expect(await trash.restore(ana, two, 'two', 9)).toBe('done')
      await files.discard(ana, two, T)
      await trash.remove(ana, two.id)
      expect(await files.commit(ana, sized('three', 0), null, filesOf(2))).toBe('done')
      expect(await users.usage(ana)).toEqual({ files: 2, trashFiles: 0, bytes: 0 })
    })

    it('and lets who has too many files replace one, and take one back from the trash', async () => {
      const { files, trash, ana } = await withOwners(make)
      const [one, two] = [sized('one', 1), sized('two', 1)]
      await files.commit(ana, one, null, null)
      await files.commit(ana, two, null, null)
      expect(await files.commit(ana, { ...sized('one', 9), id: one.id }, one.version, filesOf(1))).toBe('done')
      await files.discard(ana, two, T)
      expect(await trash.restore(ana, two, 'two', 9)).toBe('done')
    })

    it('and lets as many files of those that come at once pass as may be', async () => {
      const { users, files, ana } = await withOwners(make)
      const all = Array.from({ length: 20 }, (_, n) => files.commit(ana, sized(`file-${n}`, 0), null, filesOf(3)))
      const answers = await Promise.all(all)
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(3)
      expect(answers.filter((answer) => answer === 'quota-files')).toHaveLength(17)
      expect(await users.usage(ana)).toEqual({ files: 3, trashFiles: 0, bytes: 0 })
    })

    it('and takes nothing for a user who is gone', async () => {
      const { users, files, ana } = await withOwners(make)
      await users.remove(ana)
      expect(await files.commit(ana, newFile('late'), null, null)).toBe('gone')
    })
  })

  describe(`${name} renames files`, () => {
    it('and nothing but their names', async () => {
      const { files, ana } = await withOwners(make)
      const file = newFile('old')
      await files.commit(ana, file, null, null)
      expect(await files.edit(ana, file, { name: 'new', taken: null }, 9)).toBe('done')
      expect(await standing(files, ana, 'new')).toEqual({ ...file, name: 'new', namedAt: 9 })
      expect(await standing(files, ana, 'old')).toBeNull()
      expect(await files.edit(ana, file, { name: 'again', taken: null }, 9)).toBe('stale')
      expect(await files.edit(ana, { ...file, name: 'new' }, { name: 'new', taken: null }, 9)).toBe('done')
    })

    it('where the name is free, and the version is the one that the caller saw', async () => {
      const { files, ana, ben } = await withOwners(make)
      const [one, two] = [newFile('one'), newFile('two')]
      await files.commit(ana, one, null, null)
      await files.commit(ana, two, null, null)
      expect(await files.edit(ana, one, { name: 'two', taken: null }, 9)).toBe('taken')
      expect(await files.edit(ana, { ...one, version: 'other' }, { name: 'free', taken: null }, 9)).toBe('stale')
      expect(await files.edit(ben, one, { name: 'free', taken: null }, 9)).toBe('stale')
      await files.discard(ana, two, T)
      expect(await files.edit(ana, two, { name: 'free', taken: null }, 9)).toBe('stale')
      expect(await files.edit(ana, one, { name: 'two', taken: null }, 9)).toBe('done')
    })
  })

  describe(`${name} keeps a trash`, () => {
    it('whose files hold no names', async () => {
      const { files, trash, ana, ben } = await withOwners(make)
      const file = newFile('beach')
      await files.commit(ana, file, null, null)
      expect(await files.discard(ben, file, T)).toBe('stale')
      expect(await files.discard(ana, { ...file, version: 'other' }, T)).toBe('stale')
      expect(await files.discard(ana, file, T)).toBe('done')
      expect(await files.discard(ana, file, T)).toBe('stale')
      expect(await standing(files, ana, 'beach')).toBeNull()
      expect(await names(files, ana, {})).toEqual([])
      expect(await trash.find(ana, file.id)).toEqual({ ...rowOf(file), deletedAt: T })
      expect(await trash.find(ben, file.id)).toBeNull()
      expect(await files.commit(ana, newFile('beach'), null, null)).toBe('done')
    })

    it('and gives a file back under a name that is free', async () => {
      const { files, trash, ana, ben } = await withOwners(make)
      const file = newFile('beach')
      await files.commit(ana, file, null, null)
      expect(await trash.restore(ana, file, 'beach', 9)).toBe('stale')
      await files.discard(ana, file, T)
      await files.commit(ana, newFile('beach'), null, null)
      expect(await trash.restore(ana, file, 'beach', 9)).toBe('taken')
      expect(await trash.restore(ben, file, 'free', 9)).toBe('stale')
      expect(await trash.restore(ana, { ...file, version: 'other' }, 'free', 9)).toBe('stale')
      expect(await trash.restore(ana, file, 'hill', 9)).toBe('done')
      expect(await trash.restore(ana, file, 'hill', 9)).toBe('stale')
      expect(await standing(files, ana, 'hill')).toEqual({ ...file, name: 'hill', namedAt: 9 })
      expect(await trash.find(ana, file.id)).toBeNull()
    })

    it('and takes a replaced version in, as an entry of its own', async () => {
      const { files, trash, users, ana } = await withOwners(make)
      const old = { ...newFile('beach'), sizeBytes: 10 }
      await files.commit(ana, old, null, null)
      const fresh = { ...newFile('beach'), id: old.id, sizeBytes: 7 }
      const displaced = { id: randomBytes(8).toString('hex'), seal: randomBytes(105), deletedAt: T + 5 }
      expect(await files.commit(ana, fresh, old.version, { bytes: 16, files: 9 }, displaced)).toBe('quota')
      expect(await files.commit(ana, fresh, old.version, { bytes: 17, files: 1 }, displaced)).toBe('quota-files')
      expect(await files.commit(ana, fresh, 'other', null, displaced)).toBe('stale')
      expect(await files.commit(ana, fresh, old.version, { bytes: 17, files: 2 }, displaced)).toBe('done')
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 1, bytes: 17 })
      expect(await trash.find(ana, displaced.id)).toEqual({ ...rowOf(old), ...displaced })
      expect(await trash.remove(ana, displaced.id)).toBe(old.version)
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 0, bytes: 7 })
    })

    it('and lets no two contents come to a name in one second', async () => {
      const { files, trash, ana } = await withOwners(make)
      const namedAt = async (name: string) => (await standing(files, ana, name))?.namedAt
      const [one, two] = [newFile('one'), newFile('two')]
      for (const file of [one, two]) await files.commit(ana, file, null, null)
      expect(await namedAt('one')).toBe(T)
      const other = { ...newFile('one'), id: one.id, updatedAt: T + 1 }
      await files.commit(ana, other, one.version, null)
      expect(await namedAt('one')).toBe(SECOND_AFTER_T)
      await files.commit(
        ana,
        { ...other, version: 'same', blob: 'run/same', namedAt: SECOND_AFTER_T },
        other.version,
        null,
      )
      expect(await namedAt('one')).toBe(SECOND_AFTER_T)
      await files.discard(ana, { ...other, version: 'same' }, T)
      await files.edit(ana, two, { name: 'one', taken: null }, T)
      expect(await namedAt('one')).toBe(SECOND_AFTER_T + 1000)
      await files.discard(ana, { ...two, name: 'one' }, T)
      await trash.restore(ana, { ...other, version: 'same' }, 'one', T)
      expect(await namedAt('one')).toBe(SECOND_AFTER_T + 2000)
    })

    it('and lists it page by page, the last deleted first', async () => {
      const { trash, ana, ben } = await discarded(make, [T, T + 2, T + 1, T + 2, T + 5])
      const seen: string[] = []
      let after: TrashQuery['after'] = null
      for (;;) {
        const page = await trash.list(ana, { since: T, after, limit: 2 })
        expect(page.length).toBeLessThanOrEqual(2)
        seen.push(...page.map(({ name }) => name))
        const last = page.at(-1)
        if (!last) break
        after = { deletedAt: last.deletedAt, id: last.id }
      }
      expect(seen[0]).toBe('file-4')
      expect(seen.slice(1, 3).sort()).toEqual(['file-1', 'file-3'])
      expect(seen.slice(3)).toEqual(['file-2'])
      expect(await trash.list(ben, { since: 0, after: null, limit: 10 })).toEqual([])
    })

    it('and removes one file for good, whose blob is garbage', async () => {
      const { trash, ledger, ana, ben, discards } = await discarded(make, [T, T])
      const [one, two] = discards as [WholeFile, WholeFile]
      expect(await trash.remove(ben, one.id)).toBeNull()
      expect(await trash.remove(ana, one.id)).toBe(one.version)
      expect(await trash.remove(ana, one.id)).toBeNull()
      expect(await ledger.garbage(10)).toEqual([one.blob])
      expect((await ledger.named([one.blob, two.blob])).sort()).toEqual([one.blob, two.blob].sort())
      await ledger.forgetGarbage([one.blob])
      expect(await ledger.named([one.blob, two.blob])).toEqual([two.blob])
    })

    it('and empties it for one user, up to a time', async () => {
      const { users, trash, ledger, ana, ben, discards } = await discarded(make, [T + 2, T, T + 1])
      expect(await trash.empty(ben, T + 9, 10)).toEqual([])
      expect(await trash.empty(ana, T + 1, 1)).toEqual([discards[1]?.version])
      expect(await trash.empty(ana, T + 1, 10)).toEqual([discards[2]?.version])
      expect(await trash.empty(ana, T + 1, 10)).toEqual([])
      expect(await ledger.garbage(10)).toHaveLength(2)
      expect(await users.usage(ana)).toEqual({ files: 0, trashFiles: 1, bytes: discards[0]?.sizeBytes })
    })

    it('and expires it for all users', async () => {
      const { users, files, trash, ana, ben } = await discarded(make, [T, T + 1])
      const file = newFile('his')
      await files.commit(ben, file, null, null)
      await files.discard(ben, file, T)
      const live = newFile('live')
      await files.commit(ben, live, null, null)
      expect(await trash.expire(T, 1)).toHaveLength(1)
      expect(await trash.expire(T, 10)).toHaveLength(1)
      expect(await trash.expire(T, 10)).toEqual([])
      expect(await users.usage(ben)).toEqual({ files: 1, trashFiles: 0, bytes: live.sizeBytes })
      expect((await users.usage(ana)).files).toBe(0)
    })
  })

  describe(`${name} removes users`, () => {
    it('with every session and key at once, and then their files', async () => {
      const { users, keySlots, sessions, files, ledger, ana, ben } = await withOwners(make)
      const email = (await users.find(ana))?.email ?? ''
      const [live, deleted, his] = [newFile('live'), newFile('deleted'), newFile('his')]
      await files.commit(ana, live, null, null)
      await files.commit(ana, deleted, null, null)
      await files.discard(ana, deleted, T)
      await files.commit(ben, his, null, null)
      expect(await users.remove(ana)).toBe(true)
      expect(await users.remove(ana)).toBe(false)
      expect(await users.find(ana)).toBeNull()
      expect(await users.findByEmail(email)).toBeNull()
      expect(await keySlots.find(ana)).toEqual([])
      expect(await sessions.redeem(forUser(ana))).toBe('gone')

      expect(await users.departed(10)).toEqual([ana])
      const first = await users.clearOut(ana, 1)
      expect(first).toMatchObject({ removed: 1, versions: [expect.any(String)] })
      // The other file, and the record that one of them is gone.
      expect(await users.clearOut(ana, 10)).toMatchObject({ removed: 2, versions: [expect.any(String)] })
      expect(await users.clearOut(ana, 10)).toEqual({ removed: 0, versions: [] })
      expect((await ledger.garbage(10)).sort()).toEqual([live.blob, deleted.blob].sort())
      await users.forget(ana)
      expect(await users.departed(10)).toEqual([])
      expect(await standing(files, ben, 'his')).toEqual(his)
    })

    it('and gives their address to the next', async () => {
      const { users, sessions } = await make()
      const { user } = await opened(sessions)
      await users.remove(user.id)
      expect(await sessions.redeem(forNewUser({ email: user.email }))).toEqual({ newDevice: true })
    })
  })

  describe(`${name} keeps key slots`, () => {
    it('and counts them by master key', async () => {
      const { keySlots, sessions } = await make()
      expect(await keySlots.countByKey()).toEqual(new Map())
      await opened(sessions)
      await opened(sessions)
      await sessions.redeem(forNewUser({ slot: newSlot('another') }))
      expect(await keySlots.countByKey()).toEqual(
        new Map([
          ['another', 1],
          ['key', 2],
        ]),
      )
    })

    it('and finds those under other keys', async () => {
      const { keySlots, sessions } = await make()
      const slots = ['a', 'key', 'z'].map(newSlot)
      const owners: string[] = []
      for (const slot of slots) {
        const redemption = forNewUser({ slot })
        await sessions.redeem(redemption)
        owners.push(redemption.user.id)
      }
      expect(await keySlots.notUnder('key', 10)).toEqual([
        { owner: owners[0], slot: slots[0] },
        { owner: owners[2], slot: slots[2] },
      ])
      expect(await keySlots.notUnder('key', 1)).toHaveLength(1)
    })

    it('and replaces a slot that is still the one that the caller saw', async () => {
      const { keySlots, sessions } = await make()
      const { user } = await opened(sessions)
      const fresh = newSlot('fresh')
      expect(await keySlots.replace('nobody', user.slot, fresh)).toBe(false)
      expect(await keySlots.replace(user.id, user.slot, fresh)).toBe(true)
      expect(await keySlots.replace(user.id, user.slot, newSlot('late'))).toBe(false)
      expect(await keySlots.find(user.id)).toEqual([fresh])
    })
  })

  describe(`${name} lets blobs be held`, () => {
    it('until the hold is let go or has run out', async () => {
      const { ledger } = await make()
      expect(await ledger.held(T)).toBe(false)
      expect(await ledger.hold('one', T, T + 10)).toBe(true)
      expect(await ledger.hold('other', T, T + 20)).toBe(true)
      expect(await ledger.held(T + 19)).toBe(true)
      await ledger.release('other')
      expect(await ledger.held(T + 9)).toBe(true)
      expect(await ledger.held(T + 10)).toBe(false)
    })

    it('and renewed while it lasts, and not after', async () => {
      const { ledger } = await make()
      await ledger.hold('one', T, T + 10)
      expect(await ledger.hold('one', T + 9, T + 20)).toBe(true)
      expect(await ledger.held(T + 15)).toBe(true)
      expect(await ledger.hold('other', T + 20, T + 30)).toBe(true)
      await ledger.release('other')
      expect(await ledger.hold('one', T + 20, T + 30)).toBe(false)
      expect(await ledger.held(T + 20)).toBe(false)
    })
  })

  it(`${name} keeps the time of the last backup`, async () => {
    const { ledger } = await make()
    expect(await ledger.lastBackupAt()).toBeNull()
    await ledger.recordBackup(T)
    await ledger.recordBackup(T + 1)
    expect(await ledger.lastBackupAt()).toBe(T + 1)
  })

  it(`${name} counts sessions that were not ended, up to a limit`, async () => {
    const { sessions } = await make()
    const [first] = [await opened(sessions), await opened(sessions), await opened(sessions)]
    expect(await sessions.count(10)).toBe(3)
    expect(await sessions.count(2)).toBe(2)
    await sessions.end(first.user.id, first.session.id, T)
    expect(await sessions.count(10)).toBe(2)
  })

  it(`${name} gives turns, and takes them back from whoever fails`, async () => {
    const { ledger } = await make()
    const done: string[] = []
    const failing = ledger.takeTurn(async () => {
      throw new Error('out of breath')
    })
    await expect(failing).rejects.toThrow('out of breath')
    expect(await ledger.takeTurn(async () => void done.push('work'))).toBe(true)
    expect(done).toEqual(['work'])
  })

  it(`${name} knows which master keys a living run can open`, async () => {
    const { ledger } = await make()
    await ledger.openRun('first', T, ['a'])
    await ledger.openRun('second', T, ['b', 'a'])
    expect(await ledger.livingRuns()).toContainEqual({ run: 'second', keyIds: ['b', 'a'] })
    await ledger.endedRuns('second')
    expect(await ledger.livingRuns()).toEqual([{ run: 'second', keyIds: ['b', 'a'] }])
  })
}
