/** What every database promises: users, their sessions and files, and the books on blobs. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type {
  BlobLedger,
  FileQuery,
  FileRepository,
  KeySlot,
  KeySlotRepository,
  Redemption,
  SealedFile,
  SessionRepository,
  TrashQuery,
  TrashRepository,
  UserRepository,
} from '../../src/ports.ts'

export interface Repositories {
  users: UserRepository
  keySlots: KeySlotRepository
  sessions: SessionRepository
  files: FileRepository
  trash: TrashRepository
  ledger: BlobLedger
}

const random = () => randomBytes(8).toString('hex')
const T = Date.UTC(2026, 10, 22)

export function repositoriesContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} keeps users and sessions`, () => {
    it('makes the user with the first session and finds both', async () => {
      const { users, keySlots, sessions } = await make()
      const redemption = forNewUser()
      expect(await sessions.redeem(redemption)).toBe('opened')
      const { slot, ...user } = redemption.user
      expect(await users.findByEmail(user.email)).toEqual(user)
      expect(await users.find(user.id)).toEqual(user)
      expect(await keySlots.find(user.id)).toEqual([slot])
      expect(await sessions.findByTokenHash(redemption.session.tokenHash)).toEqual({
        id: redemption.session.id,
        userId: redemption.user.id,
        deviceId: redemption.session.deviceId,
        createdAt: T,
        lastUsedAt: T,
      })
    })

    it('knows nobody by another address, token or owner', async () => {
      const { users, sessions } = await make()
      const { session } = await opened(sessions)
      expect(await users.findByEmail('nobody@example.org')).toBeNull()
      expect(await sessions.findByTokenHash(randomBytes(32))).toBeNull()
      expect(await sessions.find('somebody-else', session.id)).toBeNull()
    })

    it('opens one session for a PIN, also when its session is over', async () => {
      const { sessions } = await make()
      const first = await opened(sessions)
      await sessions.end(first.user.id, first.session.id, T)
      const again = { ...first, session: newSession(), user: { id: first.user.id } }
      expect(await sessions.redeem(again)).toBe('spent')
    })

    it('gives an address to the first who redeems for it', async () => {
      const { users, sessions } = await make()
      const first = await opened(sessions)
      const second = forNewUser({ email: first.user.email })
      expect(await sessions.redeem(second)).toBe('taken')
      expect(await sessions.findByTokenHash(second.session.tokenHash)).toBeNull()
      expect((await users.findByEmail(first.user.email))?.id).toBe(first.user.id)
    })

    it('gives an address to one of many who redeem at once', async () => {
      const { sessions } = await make()
      const email = `${random()}@example.org`
      const answers = await Promise.all(Array.from({ length: 20 }, () => sessions.redeem(forNewUser({ email }))))
      expect(answers.filter((answer) => answer === 'opened')).toHaveLength(1)
      expect(answers.filter((answer) => answer === 'taken')).toHaveLength(19)
    })

    it('opens no session for a user who does not exist', async () => {
      const { sessions } = await make()
      expect(await sessions.redeem({ pinId: random(), session: newSession(), user: { id: 'nobody' } })).toBe('gone')
    })

    it('replaces the older session of the same user and device', async () => {
      const { sessions } = await make()
      const first = await opened(sessions)
      const session = newSession(first.session.deviceId)
      expect(await sessions.redeem({ pinId: random(), session, user: { id: first.user.id } })).toBe('opened')
      expect(await sessions.findByTokenHash(first.session.tokenHash)).toBeNull()
      expect(await sessions.findByTokenHash(session.tokenHash)).not.toBeNull()
    })

    it('keeps sessions of two users on one device apart', async () => {
      const { sessions } = await make()
      const first = await opened(sessions)
      const second = forNewUser({}, first.session.deviceId)
      await sessions.redeem(second)
      expect(await sessions.findByTokenHash(first.session.tokenHash)).not.toBeNull()
      expect(await sessions.findByTokenHash(second.session.tokenHash)).not.toBeNull()
    })

    it('ends a session once, and only for its owner', async () => {
      const { sessions } = await make()
      const { user, session } = await opened(sessions)
      expect(await sessions.end('somebody-else', session.id, T)).toBe(false)
      expect(await sessions.end(user.id, session.id, T)).toBe(true)
      expect(await sessions.end(user.id, session.id, T)).toBe(false)
      expect(await sessions.find(user.id, session.id)).toBeNull()
      expect(await sessions.findByTokenHash(session.tokenHash)).toBeNull()
    })

    it('never moves the last use backwards', async () => {
      const { sessions } = await make()
      const { user, session } = await opened(sessions)
      await sessions.touch(user.id, session.id, T + 5000)
      await sessions.touch(user.id, session.id, T + 1000)
      expect((await sessions.find(user.id, session.id))?.lastUsedAt).toBe(T + 5000)
    })

    it('forgets the sessions that are over, and no others', async () => {
      const { sessions } = await make()
      const kept = await opened(sessions)
      const ended = await opened(sessions)
      await sessions.end(ended.user.id, ended.session.id, T)
      await sessions.forget(T, T, T)
      expect(await sessions.redeem({ ...ended, session: newSession(), user: { id: ended.user.id } })).toBe('spent')
      await sessions.forget(T + 1, T, T)
      expect(await sessions.redeem({ ...ended, session: newSession(), user: { id: ended.user.id } })).toBe('opened')
      expect(await sessions.find(kept.user.id, kept.session.id)).not.toBeNull()
      await sessions.forget(0, T + 1, 0)
      expect(await sessions.find(kept.user.id, kept.session.id)).toBeNull()
    })
  })

  describe(`${name} keeps files`, () => {
    it('finds a committed file by its owner and name alone', async () => {
      const { files, ana, ben } = await withOwners(make)
      const file = newFile('beach.jpg')
      expect(await files.commit(ana, file, null, null)).toBe('done')
      expect(await files.find(ana, 'beach.jpg')).toEqual(file)
      expect(await files.find(ben, 'beach.jpg')).toBeNull()
      expect(await files.find(ana, 'Beach.jpg')).toBeNull()
    })

    it('refuses a new file under a name that is taken', async () => {
      const { files, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      await files.commit(ana, first, null, null)
      expect(await files.commit(ana, newFile('beach.jpg'), null, null)).toBe('stale')
      expect(await files.find(ana, 'beach.jpg')).toEqual(first)
    })

    it('replaces the version that the caller saw, and books its blob as garbage', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      const second = { ...newFile('beach.jpg'), id: first.id, createdAt: first.createdAt }
      await files.commit(ana, first, null, null)
      expect(await files.commit(ana, second, first.blob, null)).toBe('done')
      expect(await files.find(ana, 'beach.jpg')).toEqual(second)
      expect(await ledger.garbage(10)).toEqual([first.blob])
    })

    it('replaces nothing where another version stands by now, or none', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      await files.commit(ana, first, null, null)
      expect(await files.commit(ana, newFile('beach.jpg'), 'run/another', null)).toBe('stale')
      expect(await files.commit(ana, newFile('hill.jpg'), first.blob, null)).toBe('stale')
      expect(await files.find(ana, 'beach.jpg')).toEqual(first)
      expect(await ledger.garbage(10)).toEqual([])
    })

    it('lets one of many replace a version', async () => {
      const { files, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      await files.commit(ana, first, null, null)
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          files.commit(ana, { ...newFile('beach.jpg'), id: first.id }, first.blob, null),
        ),
      )
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(1)
    })

    it('commits nothing for a run that is over or was never opened', async () => {
      const { files, ledger, ana } = await withOwners(make)
      await ledger.openRun('run-2', T, [])
      await ledger.endedRuns('run-2')
      expect(await files.commit(ana, newFile('beach.jpg'), null, null)).toBe('run-ended')
      expect(await files.commit(ana, { ...newFile('beach.jpg'), blob: 'no-run/x' }, null, null)).toBe('run-ended')
      expect(await files.find(ana, 'beach.jpg')).toBeNull()
    })

    it('undoes an act that fails and keeps those committed with it', async () => {
      const { files, ana } = await withOwners(make)
      const [good, bad, alsoGood] = [newFile('a'), newFile('b'), newFile('c')]
      const answers = await Promise.allSettled([
        files.commit(ana, good, null, null),
        files.commit(ana, { ...bad, blob: good.blob }, null, null),
        files.commit(ana, alsoGood, null, null),
      ])
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect(await names(files, ana, {})).toEqual(['a', 'c'])
    })

    const sizes = { a: 3, b: 1, c: 2, d: 2 }

    it.each([
      ['name', 'asc', ['a', 'b', 'c', 'd']],
      ['name', 'desc', ['d', 'c', 'b', 'a']],
      ['size', 'asc', ['b', 'c', 'd', 'a']],
      ['size', 'desc', ['a', 'd', 'c', 'b']],
      ['createdAt', 'asc', ['a', 'b', 'c', 'd']],
      ['createdAt', 'desc', ['d', 'c', 'b', 'a']],
      ['updatedAt', 'asc', ['d', 'c', 'b', 'a']],
      ['updatedAt', 'desc', ['a', 'b', 'c', 'd']],
    ] as const)('lists by %s %s, page by page', async (sort, order, expected) => {
      const { files, ana, ben } = await withOwners(make)
      for (const [n, [name, sizeBytes]] of Object.entries(sizes).entries()) {
        const times = { createdAt: T + n, updatedAt: T + 10 - n }
        await files.commit(ana, { ...newFile(name), id: `id-${name}`, sizeBytes, ...times }, null, null)
      }
      await files.commit(ben, newFile('not-anas'), null, null)
      expect(await names(files, ana, { sort, order })).toEqual(expected)
      expect(await names(files, ana, { sort, order, limit: 1 })).toEqual(expected)
      expect(await names(files, ana, { sort, order, limit: 3 })).toEqual(expected)
    })

    it.each([
      ['IMG', ['IMG', 'IMG_1', 'IMG_2', 'IMGé']],
      ['IMG_', ['IMG_1', 'IMG_2']],
      ['%', ['%']],
      ['\u{10ffff}', ['\u{10ffff}', '\u{10ffff}x']],
      ['\ud7ff', ['\ud7ff1']],
      ['none', []],
    ])('lists the names that begin with %j', async (prefix, expected) => {
      const { files, ana } = await withOwners(make)
      const all = [
        'IMF',
        'IMG',
        'IMG_1',
        'IMG_2',
        'IMGé',
        'IMH',
        '%',
        'é',
        '\ud7ff1',
        '\ue000',
        '\u{10ffff}',
        '\u{10ffff}x',
      ]
      for (const name of all) await files.commit(ana, newFile(name), null, null)
      expect(await names(files, ana, { prefix })).toEqual(expected)
      expect((await names(files, ana, { prefix, sort: 'size', limit: 1 })).sort()).toEqual([...expected].sort())
      expect(await names(files, ana, { prefix, order: 'desc', limit: 2 })).toEqual([...expected].reverse())
    })

    it('neither repeats nor misses a file that stays while others come', async () => {
      const { files, ana } = await withOwners(make)
      const stay = ['b', 'd', 'f', 'h']
      for (const name of stay) await files.commit(ana, newFile(name), null, null)
      const seen: string[] = []
      let after: FileQuery['after'] = null
      for (const newcomer of ['a', 'c', 'e', 'g']) {
        const [file] = await files.list(ana, { prefix: '', sort: 'name', order: 'asc', after, limit: 1 })
        if (!file) break
        seen.push(file.name)
        after = { key: file.name, id: file.id }
        await files.commit(ana, newFile(newcomer), null, null)
      }
      expect(seen.filter((name) => stay.includes(name))).toEqual([
        ...new Set(seen.filter((name) => stay.includes(name))),
      ])
      const rest = await files.list(ana, { prefix: '', sort: 'name', order: 'asc', after, limit: 100 })
      expect([...seen, ...rest.map(({ name }) => name)].filter((name) => stay.includes(name))).toEqual(stay)
    })
  })

  describe(`${name} keeps the books on blobs`, () => {
    it('ends every other run, and answers those that are not forgotten', async () => {
      const { ledger } = await make()
      await ledger.openRun('run-1', T, [])
      await ledger.openRun('run-2', T + 1, [])
      await ledger.openRun('run-3', T + 2, [])
      expect(await ledger.endedRuns('run-3')).toEqual(['run-1', 'run-2'])
      await ledger.forgetRun('run-1')
      expect(await ledger.endedRuns('run-3')).toEqual(['run-2'])
    })

    it('opens a run once, however often it is told to, and never one that has ended', async () => {
      const { ledger } = await make()
      await ledger.openRun('run-1', T, [])
      await ledger.openRun('run-1', T + 1, [])
      expect(await ledger.endedRuns('run-2')).toEqual(['run-1'])
      await ledger.openRun('run-1', T + 2, [])
      expect(await ledger.endedRuns('run-2')).toEqual(['run-1'])
    })

    it('does not forget a run that goes on', async () => {
      const { ledger } = await make()
      await ledger.openRun('run-1', T, [])
      await ledger.forgetRun('run-1')
      await ledger.openRun('run-2', T, [])
      expect(await ledger.endedRuns('run-2')).toEqual(['run-1'])
    })

    it('says which blobs a row names', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const file = newFile('beach.jpg')
      await files.commit(ana, file, null, null)
      expect(await ledger.named(['run/none', file.blob, 'run/other'])).toEqual([file.blob])
    })

    it('hands out garbage oldest first until it is forgotten', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const versions = [newFile('f'), newFile('f'), newFile('f'), newFile('f')]
      let current: string | null = null
      for (const version of versions) {
        await files.commit(ana, version, current, null)
        current = version.blob
      }
      const [first, second, third] = versions.map(({ blob }) => blob) as [string, string, string, string]
      expect(await ledger.garbage(2)).toEqual([first, second])
      await ledger.forgetGarbage([first, second])
      expect(await ledger.garbage(2)).toEqual([third])
    })
  })
}

export function accountsContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} counts what a user keeps`, () => {
    it('live files by number, live files and trash by bytes', async () => {
      const { users, files, trash, ana, ben } = await withOwners(make)
      const [one, two] = [sized('one', 100), sized('two', 20)]
      await files.commit(ana, one, null, null)
      await files.commit(ana, two, null, null)
      expect(await users.usage(ana)).toEqual({ files: 2, bytes: 120 })
      const smaller = { ...sized('one', 30), id: one.id }
      await files.commit(ana, smaller, one.blob, null)
      expect(await users.usage(ana)).toEqual({ files: 2, bytes: 50 })
      await files.discard(ana, two, T)
      expect(await users.usage(ana)).toEqual({ files: 1, bytes: 50 })
      await files.rename(ana, smaller, 'three')
      expect(await trash.restore(ana, two.id, 'two')).toBe('done')
      expect(await users.usage(ana)).toEqual({ files: 2, bytes: 50 })
      await files.discard(ana, two, T)
      await trash.remove(ana, two.id)
      expect(await users.usage(ana)).toEqual({ files: 1, bytes: 30 })
      expect(await users.usage(ben)).toEqual({ files: 0, bytes: 0 })
      expect(await users.usage('nobody')).toEqual({ files: 0, bytes: 0 })
    })

    it('and refuses what would be more than the quota', async () => {
      const { users, files, ledger, ana } = await withOwners(make)
      const one = sized('one', 60)
      expect(await files.commit(ana, one, null, 100)).toBe('done')
      expect(await files.commit(ana, sized('two', 41), null, 100)).toBe('quota')
      expect(await files.find(ana, 'two')).toBeNull()
      expect(await files.commit(ana, sized('two', 40), null, 100)).toBe('done')
      expect(await files.commit(ana, { ...sized('one', 61), id: one.id }, one.blob, 100)).toBe('quota')
      expect(await files.find(ana, 'one')).toEqual(one)
      expect(await ledger.garbage(10)).toEqual([])
      expect(await users.usage(ana)).toEqual({ files: 2, bytes: 100 })
    })

    it('and lets who is over the quota make a file smaller', async () => {
      const { files, ana } = await withOwners(make)
      const one = sized('one', 60)
      await files.commit(ana, one, null, null)
      expect(await files.commit(ana, { ...sized('one', 59), id: one.id }, one.blob, 10)).toBe('done')
      expect(await files.commit(ana, sized('empty', 0), null, 10)).toBe('done')
    })

    it('and lets as many of those who come at once pass as fit', async () => {
      const { users, files, ana } = await withOwners(make)
      const all = Array.from({ length: 20 }, (_, n) => files.commit(ana, sized(`file-${n}`, 30), null, 100))
      const answers = await Promise.all(all)
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(3)
      expect(await users.usage(ana)).toEqual({ files: 3, bytes: 90 })
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
      expect(await files.rename(ana, file, 'new')).toBe('done')
      expect(await files.find(ana, 'new')).toEqual({ ...file, name: 'new' })
      expect(await files.find(ana, 'old')).toBeNull()
      expect(await files.rename(ana, file, 'again')).toBe('stale')
      expect(await files.rename(ana, { ...file, name: 'new' }, 'new')).toBe('done')
    })

    it('where the name is free, and the version is the one that the caller saw', async () => {
      const { files, ana, ben } = await withOwners(make)
      const [one, two] = [newFile('one'), newFile('two')]
      await files.commit(ana, one, null, null)
      await files.commit(ana, two, null, null)
      expect(await files.rename(ana, one, 'two')).toBe('taken')
      expect(await files.rename(ana, { ...one, blob: 'run/other' }, 'free')).toBe('stale')
      expect(await files.rename(ben, one, 'free')).toBe('stale')
      await files.discard(ana, two, T)
      expect(await files.rename(ana, two, 'free')).toBe('stale')
      expect(await files.rename(ana, one, 'two')).toBe('done')
    })
  })

  describe(`${name} keeps a trash`, () => {
    it('whose files hold no names', async () => {
      const { files, trash, ana, ben } = await withOwners(make)
      const file = newFile('beach')
      await files.commit(ana, file, null, null)
      expect(await files.discard(ben, file, T)).toBe('stale')
      expect(await files.discard(ana, { ...file, blob: 'run/other' }, T)).toBe('stale')
      expect(await files.discard(ana, file, T)).toBe('done')
      expect(await files.discard(ana, file, T)).toBe('stale')
      expect(await files.find(ana, 'beach')).toBeNull()
      expect(await names(files, ana, {})).toEqual([])
      expect(await trash.find(ana, file.id)).toEqual({ ...file, deletedAt: T })
      expect(await trash.find(ben, file.id)).toBeNull()
      expect(await files.commit(ana, newFile('beach'), null, null)).toBe('done')
    })

    it('and gives a file back under a name that is free', async () => {
      const { files, trash, ana, ben } = await withOwners(make)
      const file = newFile('beach')
      await files.commit(ana, file, null, null)
      expect(await trash.restore(ana, file.id, 'beach')).toBe('gone')
      await files.discard(ana, file, T)
      await files.commit(ana, newFile('beach'), null, null)
      expect(await trash.restore(ana, file.id, 'beach')).toBe('taken')
      expect(await trash.restore(ben, file.id, 'free')).toBe('gone')
      expect(await trash.restore(ana, file.id, 'hill')).toBe('done')
      expect(await trash.restore(ana, file.id, 'hill')).toBe('gone')
      expect(await files.find(ana, 'hill')).toEqual({ ...file, name: 'hill' })
      expect(await trash.find(ana, file.id)).toBeNull()
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
      const [one, two] = discards as [SealedFile, SealedFile]
      expect(await trash.remove(ben, one.id)).toBeNull()
      expect(await trash.remove(ana, one.id)).toBe(one.blob)
      expect(await trash.remove(ana, one.id)).toBeNull()
      expect(await ledger.garbage(10)).toEqual([one.blob])
      expect(await ledger.named([one.blob, two.blob])).toEqual([two.blob])
    })

    it('and empties it for one user, up to a time', async () => {
      const { users, trash, ledger, ana, ben, discards } = await discarded(make, [T + 2, T, T + 1])
      expect(await trash.empty(ben, T + 9, 10)).toEqual([])
      expect(await trash.empty(ana, T + 1, 1)).toEqual([discards[1]?.blob])
      expect(await trash.empty(ana, T + 1, 10)).toEqual([discards[2]?.blob])
      expect(await trash.empty(ana, T + 1, 10)).toEqual([])
      expect(await ledger.garbage(10)).toHaveLength(2)
      expect(await users.usage(ana)).toEqual({ files: 0, bytes: discards[0]?.sizeBytes })
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
      expect(await users.usage(ben)).toEqual({ files: 1, bytes: live.sizeBytes })
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
      expect(await sessions.redeem({ pinId: random(), session: newSession(), user: { id: ana } })).toBe('gone')

      expect(await users.departed(10)).toEqual([ana])
      expect(await users.clearOut(ana, 1)).toHaveLength(1)
      expect(await users.clearOut(ana, 10)).toHaveLength(1)
      expect(await users.clearOut(ana, 10)).toEqual([])
      expect((await ledger.garbage(10)).sort()).toEqual([live.blob, deleted.blob].sort())
      await users.forget(ana)
      expect(await users.departed(10)).toEqual([])
      expect(await files.find(ben, 'his')).toEqual(his)
    })

    it('and gives their address to the next', async () => {
      const { users, sessions } = await make()
      const { user } = await opened(sessions)
      await users.remove(user.id)
      expect(await sessions.redeem(forNewUser({ email: user.email }))).toBe('opened')
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
      expect(await ledger.hold('one', T + 20, T + 30)).toBe(false)
      expect(await ledger.held(T + 20)).toBe(false)
    })
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

/** Files of one owner that were deleted at these times. */
async function discarded(make: () => Promise<Repositories>, times: number[]) {
  const repositories = await withOwners(make)
  const discards = times.map((_, n) => newFile(`file-${n}`))
  for (const [n, file] of discards.entries()) {
    await repositories.files.commit(repositories.ana, file, null, null)
    await repositories.files.discard(repositories.ana, file, times[n] ?? T)
  }
  return { ...repositories, discards }
}

async function withOwners(make: () => Promise<Repositories>) {
  const repositories = await make()
  await repositories.ledger.openRun('run', T, [])
  const ana = (await opened(repositories.sessions)).user.id
  const ben = (await opened(repositories.sessions)).user.id
  return { ...repositories, ana, ben }
}

async function opened(sessions: SessionRepository) {
  const redemption = forNewUser()
  await sessions.redeem(redemption)
  return redemption
}

function forNewUser(fields: { email?: string; slot?: KeySlot } = {}, deviceId?: string) {
  const user = {
    id: random(),
    name: 'Ada',
    email: `${random()}@example.org`,
    confirmedBy: 'response' as const,
    createdAt: T,
    slot: newSlot('key'),
    ...fields,
  }
  return { pinId: random(), session: newSession(deviceId), user } satisfies Redemption
}

function newSession(deviceId = `device-${random()}`) {
  return { id: random(), deviceId, tokenHash: randomBytes(32), createdAt: T }
}

function newSlot(keyId: string): KeySlot {
  return { kind: 'server', keyId, sealed: randomBytes(61) }
}

function sized(name: string, sizeBytes: number): SealedFile {
  return { ...newFile(name), sizeBytes }
}

function newFile(name: string): SealedFile {
  return {
    id: random(),
    name,
    sizeBytes: 2 ** 40,
    contentType: 'image/jpeg',
    createdAt: T,
    updatedAt: T,
    blob: `run/${random()}`,
    seal: randomBytes(105),
  }
}

/** All names of a list, read in pages of `limit`. */
async function names(files: FileRepository, owner: string, query: Partial<FileQuery>): Promise<string[]> {
  const whole: FileQuery = { prefix: '', sort: 'name', order: 'asc', after: null, limit: 100, ...query }
  const key = { name: 'name', createdAt: 'createdAt', updatedAt: 'updatedAt', size: 'sizeBytes' } as const
  const found: SealedFile[] = []
  for (;;) {
    const page = await files.list(owner, whole)
    found.push(...page)
    const last = page.at(-1)
    if (!last || page.length < whole.limit) return found.map(({ name }) => name)
    whole.after = { key: last[key[whole.sort]], id: last.id }
  }
}
