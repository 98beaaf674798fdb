import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/adapters/sqlite/database.ts'
import { commands } from '../../src/commands/commands.ts'
import { temporaryFolder } from '../support/app.ts'
import { command, commandProcess } from '../support/process.ts'

const run = async (args: string[], settings: Record<string, string> = {}) =>
  commandProcess(await temporaryFolder(), args, settings).ended

describe('the operator’s commands', () => {
  it('are listed by --help', async () => {
    const { code, stdout, stderr } = await run(['--help'])
    expect([code, stderr]).toEqual([0, ''])
    for (const [name, { summary }] of Object.entries(commands)) {
      expect(stdout).toMatch(new RegExp(`^ {2}minikeepsafe ${name} .*${summary}$`, 'm'))
    }
  })

  it('have the version of package.json', async () => {
    const { version } = JSON.parse(await readFile(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'))
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
    expect(await run(['--version', '--json'])).toMatchObject({ code: 0, stdout: `{"version":"${version}"}\n` })
  })

  it('have the server beside them, which explains itself too', async () => {
    expect((await run(['--help'])).stdout).toMatch(/^ {2}minikeepsafe serve +run the server/m)
    expect(await run(['serve', '--help'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/SIGTERM/) })
    expect(await run(['serve', '8000'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'minikeepsafe: usage: minikeepsafe serve\n',
    })
  })

  it('explain themselves', async () => {
    const { code, stdout } = await run(['verify', '--help'])
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^usage: minikeepsafe verify \[--json\]\n\nReads every file/),
    ])
  })

  it.each([
    [[], 'The server minikeepsafe'],
    [['nonsense'], 'there is no such command'],
    [['verify', 'too', 'much'], 'usage: minikeepsafe verify'],
    [['backup', 'folder', '--keep', '0'], '--keep must be a whole number'],
    [['verify', '--wrong'], "Unknown option '--wrong'"],
  ])('end with 2 for %j', async (args, message) => {
    const { code, stdout, stderr } = await run(args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
  })

  it('print one JSON document with --json, also where they are called wrongly', async () => {
    const { code, report } = await command(await temporaryFolder(), ['verify', 'too-much'])
    expect([code, report]).toEqual([2, { ok: false, error: 'usage: minikeepsafe verify' }])
  })

  it('end with 1 where there is no vault, and make none', async () => {
    const folder = await temporaryFolder()
    const { code, report } = await command(folder, ['verify'])
    expect([code, report]).toEqual([1, { ok: false, error: 'there is no vault in ./data' }])
    expect(await readdir(folder)).toEqual([])
  })

  it('read .env as the server does, and name its faults', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, '.env'), 'DATA_DIR=./elsewhere\nPORT=8000\n')
    expect((await command(folder, ['verify'])).report).toMatchObject({ error: 'there is no vault in ./elsewhere' })
    const { code, report } = await command(folder, ['verify'], { PORT: 'x' })
    expect([code, report]).toEqual([1, { ok: false, error: expect.stringContaining('PORT is "x"') }])
  })

  it('do not touch a database of another schema, and make no key and no folder', async () => {
    const folder = await temporaryFolder()
    const db = openDatabase(join(folder, 'data'))
    db.close()
    expect((await command(folder, ['verify'])).report).toMatchObject({
      error: expect.stringMatching(/^UPLOADS_DIR is/),
    })
    const { report } = await command(folder, ['verify'], { UPLOADS_DIR: '.' })
    expect(report).toMatchObject({ error: expect.stringContaining('master.key is missing') })
    const other = openDatabase(join(folder, 'data'))
    other.pragma('user_version = 99')
    other.close()
    const { code, report: refusal } = await command(folder, ['verify'])
    expect([code, refusal]).toEqual([1, { ok: false, error: expect.stringContaining('has schema 99') }])
    expect(await readdir(folder)).toEqual(['data'])
  })
})
