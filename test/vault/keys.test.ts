import { randomBytes } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { keyIdOf, openKeyring } from '../../src/vault/crypto/keyring.ts'
import { member, type TestApp, temporaryFolder, testApp } from '../support/app.ts'

const homeOf = (app: TestApp) => join(app.config.DATA_DIR, '..')
const keyFileOf = (app: TestApp) => join(app.config.DATA_DIR, 'master.key')
const newKey = () => randomBytes(32).toString('base64')

/** A vault with a file under this key, and what reads the file. */
async function vaultUnder(settings: Record<string, string>) {
  const app = await testApp(settings)
  const ada = await member(app)
  await ada.put('file', 'bytes')
  await app.close()
  const readBack = async (again: Record<string, string>) => {
    const next = await testApp(again, homeOf(app))
    const answer = await next.request('/v1/files/file', { headers: { authorization: `Bearer ${ada.token}` } })
    await next.close()
    return answer.body
  }
  return { app, readBack }
}

describe('without a master key in the settings', () => {
  it('one is made at the first start, for this user alone, and said so once', async () => {
    const { app, readBack } = await vaultUnder({})
    const text = await readFile(keyFileOf(app), 'utf8')
    expect(text).toMatch(/^[A-Za-z0-9+/]{43}=\n$/)
    expect((await stat(keyFileOf(app))).mode & 0o777).toBe(0o600)
    const told = app.log.filter((line) => line.includes('made a master key'))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('another place')
    expect(app.log.join('\n')).not.toContain(text.trim())
    expect(await readBack({})).toBe('bytes')
    expect(await readFile(keyFileOf(app), 'utf8')).toBe(text)
  })

  it('the server does not start where the one that was made is gone', async () => {
    const { app } = await vaultUnder({})
    await rm(keyFileOf(app))
    await expect(testApp({}, homeOf(app))).rejects.toThrow(/the master key .*master\.key is missing/)
    await expect(stat(keyFileOf(app))).rejects.toThrow('ENOENT')
  })
})

describe('with a master key in the settings', () => {
  it('none is made', async () => {
    const { app, readBack } = await vaultUnder({ MASTER_KEY: newKey() })
    await expect(stat(keyFileOf(app))).rejects.toThrow('ENOENT')
    expect(await readBack({ MASTER_KEY: app.config.MASTER_KEY as string })).toBe('bytes')
  })

  it('it may stand in a file', async () => {
    const path = join(await temporaryFolder(), 'key')
    const key = newKey()
    await writeFile(path, `${key}\n`)
    const { readBack } = await vaultUnder({ MASTER_KEY_FILE: path })
    expect(await readBack({ MASTER_KEY: key })).toBe('bytes')
  })

  it('the server does not start with another one, and says which is which without showing either', async () => {
    const [right, wrong] = [newKey(), newKey()]
    const { app } = await vaultUnder({ MASTER_KEY: right })
    const error = (await testApp({ MASTER_KEY: wrong }, homeOf(app)).catch((cause: unknown) => cause)) as Error
    for (const key of [right, wrong]) {
      expect(error.message).toContain(keyIdOf(Buffer.from(key, 'base64')))
      expect(error.message).not.toContain(key)
    }
  })

  it('a former one still opens, and no longer seals', async () => {
    const [former, current] = [newKey(), newKey()]
    const { app, readBack } = await vaultUnder({ MASTER_KEY: former })
    const settings = { MASTER_KEY: current, MASTER_KEY_PREVIOUS: ` ${newKey()}, ${former},` }
    expect(await readBack(settings)).toBe('bytes')
    const next = await testApp(settings, homeOf(app))
    await member(next)
    const ids = [current, former].map((key) => keyIdOf(Buffer.from(key, 'base64'))).sort()
    expect([...(await next.ports.keySlots.countByKey()).keys()]).toEqual(ids)
  })

  it.each<[string, Record<string, string>, string]>([
    ['too short', { MASTER_KEY: 'c2hvcnQ=' }, 'MASTER_KEY must be 32 bytes in base64'],
    ['no base64', { MASTER_KEY: `${'*'.repeat(43)}=` }, 'MASTER_KEY must be 32 bytes in base64'],
    ['a bad former one', { MASTER_KEY: newKey(), MASTER_KEY_PREVIOUS: 'old' }, 'a key in MASTER_KEY_PREVIOUS must be'],
    ['a file that is not there', { MASTER_KEY_FILE: '/nowhere/key' }, 'there is no such file'],
    ['a file that is a folder', { MASTER_KEY_FILE: '/' }, 'EISDIR'],
    ['two at once', { MASTER_KEY: newKey(), MASTER_KEY_FILE: '/nowhere/key' }, 'not both'],
  ])('the server does not start with one that is %s', async (_case, settings, message) => {
    const error = (await testApp(settings).catch((cause: unknown) => cause)) as Error
    expect(error.message).toContain(message)
    expect(error.message).not.toContain(settings.MASTER_KEY)
  })
})

describe('the server’s own key', () => {
  it('is asked for again where the database failed once', async () => {
    const app = await testApp()
    const { find } = app.ports.keySlots
    app.ports.keySlots.find = async () => {
      app.ports.keySlots.find = find
      throw Object.assign(new Error('not now'), { code: 'EAGAIN' })
    }
    const registration = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }
    expect(await app.post('/v1/users', registration)).toBeProblem(503, 'not-ready')
    expect((await app.post('/v1/users', registration)).status).toBe(201)
  })

  it('is one for all who make it at the same time', async () => {
    const app = await testApp()
    const other = openKeyring(app)
    const one = openKeyring(app)
    const [first, second] = await Promise.all([one.pinKey(), other.pinKey()])
    expect(first).toEqual(second)
    expect(await one.addressKey()).not.toEqual(first)
  })

  it('is not made before it is needed: until then another master key may be given', async () => {
    const before = await testApp()
    await before.close()
    const app = await testApp({ MASTER_KEY: newKey() }, homeOf(before))
    expect((await member(app)).userId).toMatch(/^[\w-]{21}$/)
  })
})
