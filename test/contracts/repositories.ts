/** The contract of every database for users, their sessions and files, and the ledger of blobs. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { FileQuery, SealedFile } from '../../src/ports/files.ts'
import {
  forNewUser,
  forUser,
  names,
  newFile,
  newSession,
  opened,
  type Repositories,
  random,
  rowOf,
  standing,
  T,
  type WholeFile,
  withOwners,
} from './rows.ts'

const NOTHING = { file: null, firstPart: null }

export function repositoriesContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} keeps users and sessions`, () => {
    it('makes the user with the first session and finds both', async () => {
      const { users, keySlots, sessions } = await make()
      const redemption = forNewUser()
      expect(await sessions.redeem(redemption)).toEqual({ newDevice: true })
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
      expect(await sessions.redeem(forUser(first.user.id, { pinId: first.pinId }))).toBe('spent')
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
      expect(answers.filter((answer) => typeof answer !== 'string')).toHaveLength(1)
      expect(answers.filter((answer) => answer === 'taken')).toHaveLength(19)
    })

    it('opens no session for a user who does not exist', async () => {
      const { sessions } = await make()
      expect(await sessions.redeem(forUser('nobody'))).toBe('gone')
    })

    it('replaces the older session of the same user and device', async () => {
      const { sessions } = await make()
      const first = await opened(sessions)
      const session = newSession(first.session.deviceId)
      expect(await sessions.redeem(forUser(first.user.id, { session }))).toEqual({ newDevice: false })
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
      expect(await sessions.end('somebody-else', session.id, T)).toBeNull()
      expect(await sessions.end(user.id, session.id, T)).toMatchObject({ id: session.id, userId: user.id })
      expect(await sessions.end(user.id, session.id, T)).toBeNull()
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
      const again = () => sessions.redeem(forUser(ended.user.id, { pinId: ended.pinId }))
      expect(await again()).toBe('spent')
      await sessions.forget(T + 1, T, T)
      expect(await again()).toEqual({ newDevice: true })
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
      expect(await standing(files, ana, 'beach.jpg')).toEqual(file)
      expect(await standing(files, ben, 'beach.jpg')).toBeNull()
      expect(await standing(files, ana, 'Beach.jpg')).toBeNull()
    })

    it('tells in one look what an upload or a download needs to know', async () => {
      const { files, keySlots, ana, ben } = await withOwners(make)
      const file = newFile('beach.jpg')
      await files.commit(ana, file, null, null)
      const [[anas], [bens]] = [await keySlots.find(ana), await keySlots.find(ben)]
      expect(await files.snapshot(ana, 'beach.jpg')).toEqual({
        slot: anas,
        used: { bytes: file.sizeBytes, files: 1 },
        file: rowOf(file),
        firstPart: { start: 0, sizeBytes: file.sizeBytes, blob: file.blob, seal: null },
      })
      expect(await files.snapshot(ana, 'hill.jpg')).toEqual({
        slot: anas,
        used: { bytes: file.sizeBytes, files: 1 },
        ...NOTHING,
      })
      expect(await files.snapshot(ben, 'beach.jpg')).toEqual({
        slot: bens,
        used: { bytes: 0, files: 0 },
        ...NOTHING,
      })
      await files.discard(ana, file, T)
      expect((await files.snapshot(ana, 'beach.jpg'))?.file).toBeNull()
      expect(await files.snapshot('nobody', 'beach.jpg')).toBeNull()
    })

    it('refuses a new file under a name that is taken', async () => {
      const { files, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      await files.commit(ana, first, null, null)
      expect(await files.commit(ana, newFile('beach.jpg'), null, null)).toBe('stale')
      expect(await standing(files, ana, 'beach.jpg')).toEqual(first)
    })

    it('replaces the version that the caller saw, and books its blob as garbage', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      const second = { ...newFile('beach.jpg'), id: first.id, createdAt: first.createdAt }
      await files.commit(ana, first, null, null)
      expect(await files.commit(ana, second, first.version, null)).toBe('done')
      expect(await standing(files, ana, 'beach.jpg')).toEqual(second)
      expect(await ledger.garbage(10)).toEqual([first.blob])
    })

    it('replaces nothing where another version stands by now, or none', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      await files.commit(ana, first, null, null)
      expect(await files.commit(ana, newFile('beach.jpg'), 'run/another', null)).toBe('stale')
      expect(await files.commit(ana, newFile('hill.jpg'), first.version, null)).toBe('stale')
      expect(await standing(files, ana, 'beach.jpg')).toEqual(first)
      expect(await ledger.garbage(10)).toEqual([])
    })

    it('lets one of many replace a version', async () => {
      const { files, ana } = await withOwners(make)
      const first = newFile('beach.jpg')
      await files.commit(ana, first, null, null)
      const answers = await Promise.all(
        Array.from({ length: 20 }, () =>
          files.commit(ana, { ...newFile('beach.jpg'), id: first.id }, first.version, null),
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
      expect(await standing(files, ana, 'beach.jpg')).toBeNull()
    })

    it('undoes an act that fails and keeps those committed with it', async () => {
      const { files, ana } = await withOwners(make)
      const [first, good, bad, alsoGood] = [newFile('0'), newFile('a'), newFile('b'), newFile('c')]
      await files.commit(ana, first, null, null)
      const answers = await Promise.allSettled([
        files.commit(ana, good, null, null),
        files.commit(ana, { ...bad, blob: first.blob }, null, null),
        files.commit(ana, alsoGood, null, null),
      ])
      expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect(await names(files, ana, {})).toEqual(['0', 'a', 'c'])
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

    it.each([
      ['size', 'asc', 'sizeBytes', [1, 2, 3, 4, 5, 6]],
      ['createdAt', 'desc', 'createdAt', [6, 5, 4, 3, 2, 1]],
      ['updatedAt', 'asc', 'updatedAt', [1, 2, 3, 4, 5, 6]],
    ] as const)('scans by %s %s so many rows at a time for names that begin so', async (sort, order, key, all) => {
      const { files, ana, ben } = await withOwners(make)
      for (const n of all) {
        const values = { sizeBytes: n, createdAt: n, updatedAt: n }
        await files.commit(ana, { ...newFile(n % 3 === 0 ? `rare-${n}` : `x-${n}`), ...values }, null, null)
      }
      await files.commit(ben, { ...newFile('rare-bens'), sizeBytes: 3 }, null, null)
      const scan = async (after: FileQuery['after'], rows: number, limit = 9) => {
        const { found, last } = await files.scan(ana, { prefix: 'rare-', sort, order, after, limit }, rows)
        return { found: found.map((file) => file[key]), last }
      }
      const first = await scan(null, 4)
      const rare = all.filter((n) => n % 3 === 0)
      expect(first).toEqual({
        found: rare.filter((n) => all.indexOf(n) < 4),
        last: { key: all[3], id: expect.any(String) },
      })
      expect(await scan(first.last, 4)).toEqual({ found: rare.filter((n) => all.indexOf(n) >= 4), last: null })
      expect((await scan(null, 9)).found).toEqual(rare)
      expect((await scan(null, 9, 1)).found).toEqual(rare.slice(0, 1))
      const { found, last } = await scan(null, 6)
      expect([found, last && (await scan(last, 6))]).toEqual([rare, { found: [], last: null }])
    })

    it('finds files and trash by their ids, of their owner alone', async () => {
      const { files, ana, ben } = await withOwners(make)
      const [live, trashed, bens] = [newFile('live'), newFile('trashed'), newFile('bens')]
      for (const file of [live, trashed]) await files.commit(ana, file, null, null)
      await files.commit(ben, bens, null, null)
      await files.discard(ana, trashed, T + 1)
      const found = await files.withIds(ana, [trashed.id, 'none', live.id, bens.id, 'a\0b'])
      expect(found.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { ...rowOf(live), deletedAt: null },
        { ...rowOf(trashed), deletedAt: T + 1 },
      ])
      expect(await files.withIds(ana, [])).toEqual([])
    })

    it('says which names are taken', async () => {
      const { files, ana, ben } = await withOwners(make)
      const deleted = newFile('deleted')
      for (const file of [newFile('a'), newFile('b'), deleted]) await files.commit(ana, file, null, null)
      await files.commit(ben, newFile('not-anas'), null, null)
      await files.discard(ana, deleted, T)
      expect((await files.taken(ana, ['b', 'none', 'a', 'deleted', 'not-anas'])).sort()).toEqual(['a', 'b'])
    })

    it('finds the files of one content by their tag, page by page', async () => {
      const { files, ana, ben } = await withOwners(make)
      const { tag } = newFile('')
      const alike = ['f (1)', 'f (2)', 'f (3)', 'f', 'g (1)', 'deleted'].map((name) => ({ ...newFile(name), tag }))
      for (const file of [...alike, newFile('f (9)')]) await files.commit(ana, file, null, null)
      await files.commit(ben, { ...newFile('f (4)'), tag }, null, null)
      await files.discard(ana, alike[5] as SealedFile, T)
      const found = async (prefix: string, after: string | null) =>
        (await files.tagged(ana, tag, { prefix, after, limit: 2 })).map(({ name }) => name)
      expect(await found('f (', null)).toEqual(['f (1)', 'f (2)'])
      expect(await found('f (', 'f (2)')).toEqual(['f (3)'])
      expect(await found('', 'f (3)')).toEqual(['g (1)'])
    })

    it('fills in the tags that are missing, and no others', async () => {
      const { files, ana } = await withOwners(make)
      const [one, two, three] = ['1', '2', '3'].map((id) => ({ ...newFile(id), id, tag: null })) as [
        WholeFile,
        WholeFile,
        WholeFile,
      ]
      const tagged = newFile('tagged')
      for (const file of [one, two, three, tagged]) await files.commit(ana, file, null, null)
      await files.discard(ana, two, T)
      const missing = async (after: string, limit: number) =>
        (await files.untagged(after, limit)).map(({ owner, file }) => [owner, file.id])
      expect(await missing('', 2)).toEqual([
        [ana, '1'],
        [ana, '2'],
      ])
      expect(await missing('2', 2)).toEqual([[ana, '3']])

      const tag = randomBytes(16)
      await files.fillInTags([one, two, { ...three, version: 'another' }, tagged].map((file) => ({ ...file, tag })))
      expect(await missing('', 9)).toEqual([[ana, '3']])
      expect((await files.byId('1'))?.file).toEqual({ ...rowOf(one), tag })
      expect((await files.byId(tagged.id))?.file).toEqual(rowOf(tagged))
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

    it('tells whether a run goes on, and brings none back that is forgotten', async () => {
      const { ledger } = await make()
      expect(await ledger.goesOn('run-1')).toBe(false)
      await ledger.openRun('run-1', T, [])
      await ledger.openRun('run-1', T + 1, [])
      expect(await ledger.goesOn('run-1')).toBe(true)
      await ledger.endedRuns('run-2')
      await ledger.openRun('run-1', T + 2, [])
      expect(await ledger.goesOn('run-1')).toBe(false)
      await ledger.forgetRun('run-1')
      expect(await ledger.goesOn('run-1')).toBe(false)
      expect(await ledger.endedRuns('run-2')).toEqual([])
    })

    it('tells which of the blobs that were given up no row names', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const file = newFile('beach.jpg')
      await files.commit(ana, file, null, null)
      expect(await ledger.renounce(['run/late', file.blob, 'run/other'])).toEqual(['run/late', 'run/other'])
      expect(await standing(files, ana, 'beach.jpg')).toEqual(file)
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
        current = version.version
      }
      const [first, second, third] = versions.map(({ blob }) => blob) as [string, string, string, string]
      expect(await ledger.garbage(2)).toEqual([first, second])
      await ledger.forgetGarbage([first, second])
      expect(await ledger.garbage(2)).toEqual([third])
      expect(await ledger.garbage(2, versions.map(({ version }) => version).slice(0, 2))).toEqual([])
      expect(await ledger.garbage(2, [versions[2]?.version as string])).toEqual([third])
    })

    it('forgets parts of garbage only', async () => {
      const { files, ledger, ana } = await withOwners(make)
      const file = newFile('beach.jpg')
      await files.commit(ana, file, null, null)
      await ledger.forgetGarbage([file.blob])
      expect(await files.parts(file.version, 0, 10)).toEqual([
        { start: 0, sizeBytes: file.sizeBytes, blob: file.blob, seal: null },
      ])
    })
  })
}
