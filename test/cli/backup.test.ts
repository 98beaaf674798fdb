import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { command, commandProcess, serverProcess, signedIn } from '../support/process.ts'

type Headers = Record<string, string>

async function blobsIn(backup: string): Promise<Map<string, number>> {
  const entries = await readdir(join(backup, 'uploads'), { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  return new Map(await Promise.all(files.map(async (path) => [path, (await stat(path)).ino] as const)))
}

/** A new folder with the master key, as an operator has it at hand when all else is lost. */
async function withKeyOf(folder: string): Promise<string> {
  const fresh = await temporaryFolder()
  await mkdir(join(fresh, 'data'))
  await copyFile(join(folder, 'data', 'master.key'), join(fresh, 'data', 'master.key'))
  return fresh
}

async function contentsIn(folder: string, headers: Headers, names: Iterable<string>): Promise<Map<string, Buffer>> {
  const server = serverProcess(folder)
  const contents = new Map<string, Buffer>()
  for (const name of names) contents.set(name, (await server.request(`/v1/files/${name}`, { headers })).bytes)
  await server.stop('SIGTERM')
  return contents
}

describe('backup and restore', () => {
  it('bring back all that was acknowledged before the backup began, out of a server under load', async () => {
    const folder = await temporaryFolder()
    const backup = join(await temporaryFolder(), 'backup')
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    /** All that was ever acknowledged under a name, in order. */
    const acknowledged = new Map<string, Buffer[]>()
    const failures: number[] = []
    let underWay = true
    const load = Array.from({ length: 4 }, async (_, lane) => {
      for (let n = 0; underWay; n += 1) {
        const [name, body] = [`file-${lane}-${n % 10}`, randomBytes(1 + ((lane * 37_000 + n * 91_000) % 300_000))]
        const { status } = await server.request(`/v1/files/${name}?replaced=discard`, { method: 'PUT', headers, body })
        if (status > 201) failures.push(status)
        acknowledged.set(name, [...(acknowledged.get(name) ?? []), body])
      }
    })
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBe(40)
    const before = new Map([...acknowledged].map(([name, versions]) => [name, versions.length]))
    const { code, report } = await command(folder, ['backup', backup])
    expect([code, report]).toEqual([0, expect.objectContaining({ ok: true, files: 40, lacking: [] })])
    underWay = false
    await Promise.all(load)
    expect(failures).toEqual([])
    await server.stop('SIGKILL')

    const fresh = await withKeyOf(folder)
    await rm(join(folder, 'data'), { recursive: true })
    await rm(join(folder, 'uploads'), { recursive: true })
    const restored = await command(fresh, ['restore', backup])
    expect(restored).toMatchObject({ code: 0, report: { restored: true, files: 40 } })
    expect(JSON.parse(restored.stderr)).toMatchObject({ audit: 'vault-restored' })
    expect(await command(fresh, ['verify'])).toMatchObject({ code: 0, report: { files: 40, blobs: 40 } })
    for (const [name, bytes] of await contentsIn(fresh, headers, acknowledged.keys())) {
      const versions = acknowledged.get(name) as Buffer[]
      const found = versions.findIndex((version) => version.equals(bytes))
      expect(found).toBeGreaterThanOrEqual((before.get(name) as number) - 1)
    }
    const refused = await command(fresh, ['restore', backup])
    expect(refused).toMatchObject({ code: 1, report: { ok: false } })
    expect(refused.stderr).not.toContain('"audit"')
  }, 60_000)

  it('copy only what is new the second time, and say which key opens it', async () => {
    const folder = await temporaryFolder()
    const backup = join(folder, 'backup')
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    const put = (name: string, body: string) =>
      server.request(`/v1/files/${name}?replaced=discard`, { method: 'PUT', headers, body })
    for (const name of ['a', 'b', 'secret-name']) await put(name, `first ${name}`)
    const first = await commandProcess(folder, ['backup', backup]).ended
    expect(first.code).toBe(0)
    expect(first.stdout).toMatch(
      /copied 3 blobs \(1\d\d bytes\), kept 0, removed 0\nit opens with master key [0-9a-f]{16} alone/,
    )
    expect(first.stdout).not.toMatch(/secret-name|example\.org/)
    const before = await blobsIn(backup)
    await put('b', 'second')
    await put('c', 'first')
    const { report } = await command(folder, ['backup', backup])
    expect(report).toMatchObject({ ok: true, blobs: { copied: 2, kept: 2, removed: 1 } })
    const after = await blobsIn(backup)
    expect([...after].filter(([path, inode]) => before.get(path) === inode)).toHaveLength(2)
    expect(after.size).toBe(4)
  })

  it('leave the former backup, or have the new one, whenever they are killed', async () => {
    const folder = await temporaryFolder()
    const backup = join(await temporaryFolder(), 'backup')
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    const names = Array.from({ length: 60 }, (_, n) => `file-${n}`)
    const putAll = async (version: string) => {
      for (const name of names) {
        await server.request(`/v1/files/${name}?replaced=discard`, {
          method: 'PUT',
          headers,
          body: `${version} ${name} `.repeat(5000),
        })
      }
    }
    const isWhole = (version: string, contents: Map<string, Buffer>) =>
      names.every((name) => contents.get(name)?.equals(Buffer.from(`${version} ${name} `.repeat(5000))))
    await putAll('v0')
    expect((await command(folder, ['backup', backup])).code).toBe(0)
    let standing = 'v0'
    for (const [round, delayMs] of [0, 15, 40, 90].entries()) {
      const next = `v${round + 1}`
      await putAll(next)
      const killed = commandProcess(folder, ['backup', backup])
      await expect
        .poll(() => existsSync(join(backup, 'minikeepsafe.db.new')), { interval: 1, timeout: 20_000 })
        .toBe(true)
      await sleep(delayMs)
      await killed.stop('SIGKILL')
      const fresh = await withKeyOf(folder)
      expect((await command(fresh, ['restore', backup])).code).toBe(0)
      const contents = await contentsIn(fresh, headers, names)
      const found = [standing, next].find((version) => isWhole(version, contents))
      expect(found).toBeDefined()
      standing = found as string
    }
    expect(await command(folder, ['backup', backup])).toMatchObject({ code: 0, report: { lacking: [] } })
    expect((await blobsIn(backup)).size).toBe(60)
    expect((await readdir(backup)).filter((name) => name.includes('.new'))).toEqual([])
  }, 120_000)

  it('refuse what would harm a vault', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder)
    await signedIn(server)
    const error = async (args: string[]) => (await command(folder, args)).report.error
    expect(await error(['backup', 'data/backup'])).toContain('DATA_DIR, which is ./data, must not overlap')
    expect(await error(['backup', '.'])).toContain('must not overlap')
    expect((await command(folder, ['backup', 'elsewhere'])).code).toBe(0)
    await rm(join(folder, 'elsewhere'), { recursive: true })
    expect(await error(['restore', 'nowhere'])).toContain('there is no backup in nowhere')
  })

  it('send no control characters of a backup to a terminal', async () => {
    const folder = await temporaryFolder()
    const backup = join(folder, 'backup')
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    await server.request('/v1/files/file', { method: 'PUT', headers, body: 'bytes' })
    await command(folder, ['backup', backup])
    await server.stop('SIGTERM')
    const db = new Database(join(backup, 'minikeepsafe.db'))
    const id = '\x1b]0;title\x07\x1b[2K\r\nrestored\x9b31m\u202e'
    db.prepare('UPDATE files SET id = ?').run(id)
    db.prepare('UPDATE parts SET blob = ?').run(`run/${id}`)
    db.close()

    const { code, stdout } = await commandProcess(await withKeyOf(folder), ['restore', backup]).ended
    expect(code).toBe(1)
    expect(stdout).toContain('missing: file \\u{1b}]0;title\\u{7}\\u{1b}[2K\\u{d}\\u{a}restored\\u{9b}31m\\u{202e}: ')
    expect(stdout).toMatch(/^[^\p{C}]*\n[^\p{C}]*\n$/u)

    const asJson = await commandProcess(await withKeyOf(folder), ['restore', backup, '--json']).ended
    expect(asJson.stdout).toMatch(/^[^\p{C}]*\n$/u)
    expect(JSON.stringify(JSON.parse(asJson.stdout))).toContain(JSON.stringify(id).slice(1, -1))
  })
})
