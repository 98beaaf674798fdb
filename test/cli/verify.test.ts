import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { command, commandProcess, serverProcess, signedIn } from '../support/process.ts'

describe('verify', () => {
  it('finds all well beside a server under load, and without one', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    let underWay = true
    const load = Array.from({ length: 3 }, async (_, lane) => {
      for (let n = 0; underWay; n += 1) {
        const body = randomBytes(1 + ((lane * 37_000 + n * 91_000) % 200_000))
        await server.request(`/v1/files/file-${lane}-${n % 5}?replaced=discard`, { method: 'PUT', headers, body })
      }
    })
    for (let round = 0; round < 2; round += 1) {
      const { code, report } = await command(folder, ['verify'])
      expect([code, report]).toEqual([0, expect.objectContaining({ ok: true, damaged: [], missing: [], orphans: [] })])
    }
    underWay = false
    await Promise.all(load)
    await server.stop('SIGTERM')
    const { code, report } = await command(folder, ['verify'])
    expect([code, report]).toEqual([0, expect.objectContaining({ ok: true, files: 15, blobs: 15, users: 1 })])
  })

  it('ends with 1 and names what is damaged, missing and orphaned by ids alone', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    for (const name of ['a-secret-name', 'another']) {
      await server.request(`/v1/files/${name}`, { method: 'PUT', headers, body: randomBytes(1000) })
    }
    await server.stop('SIGTERM')
    const uploads = join(folder, 'uploads')
    const [run] = (await readdir(uploads)) as [string]
    const [first, second] = (await readdir(join(uploads, run))) as [string, string]
    const bytes = await readFile(join(uploads, run, first))
    bytes[500] = (bytes[500] as number) ^ 4
    await writeFile(join(uploads, run, first), bytes)
    await rm(join(uploads, run, second))
    await mkdir(join(uploads, 'lost'))
    await writeFile(join(uploads, 'lost', 'blob'), 'x')

    const { code, stdout } = await commandProcess(folder, ['verify']).ended
    expect(code).toBe(1)
    expect(stdout).toContain(`, blob ${run}/${first}: its blob does not open\n`)
    expect(stdout).toContain(`: its blob ${run}/${second} is not there\n`)
    expect(stdout).toContain('orphan: blob lost/blob: no row names it\n')
    expect(stdout).toContain('1 damaged, 1 missing, 1 orphan, 0 locked, 0 miscounted')
    expect(stdout).not.toMatch(/a-secret-name|example\.org|Ada/)
  })
})
