/** `npm run release` in a clone of its own. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'

const root = join(import.meta.dirname, '..', '..')
const MODULES = ['node_modules', 'clients/typescript/node_modules', 'web/node_modules']

/** What this checkout is, committed, on a branch main of its own. */
async function clone() {
  const folder = await temporaryFolder()
  const run = promisify(execFile)
  const git = async (...args: string[]) => (await run('git', args, { cwd: folder })).stdout.trim()
  await git('clone', '--quiet', '--depth', '1', `file://${root}`, '.')
  await git('checkout', '--quiet', '-B', 'main')
  for (const path of MODULES) {
    if (existsSync(join(root, path))) await symlink(join(root, path), join(folder, path))
  }
  // They are links here, and folders in a checkout.
  await mkdir(join(folder, '.git', 'info'), { recursive: true })
  await appendFile(join(folder, '.git', 'info', 'exclude'), 'node_modules\n')
  for (const [name, value] of [
    ['user.name', 'Ada'],
    ['user.email', 'ada@example.org'],
  ] as const) {
    await git('config', name, value)
  }
  const release = (...args: string[]) => {
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off' }
    return run(join(root, 'node_modules', '.bin', 'tsx'), ['release/release.ts', ...args], { cwd: folder, env })
  }
  const change = async (path: string, edit: (text: string) => string) =>
    writeFile(join(folder, path), edit(await readFile(join(folder, path), 'utf8')))
  return { folder, git, release, change, read: (path: string) => readFile(join(folder, path), 'utf8') }
}

describe('a release', { timeout: 300_000 }, () => {
  it('is packed, described, committed and tagged; a trial leaves the checkout as it was', async () => {
    const { folder, git, release, change, read } = await clone()
    await change('CHANGELOG.md', (text) => text.replace('## Unreleased\n', '## Unreleased\n\n- Something new.\n'))
    await git('commit', '--quiet', '--all', '--message', 'feat: something new')
    const before = await git('rev-parse', 'HEAD')
    const output = join(folder, 'artifacts', 'release')
    const names = [
      'SHA256SUMS',
      'minikeepsafe-7.8.9.cdx.json',
      'minikeepsafe-7.8.9.tgz',
      'minikeepsafe-client-7.8.9.tgz',
    ]

    const trial = await release('7.8.9', '--dry-run')
    expect(trial.stdout).toContain('nothing is committed')
    expect((await readdir(output)).sort()).toEqual(names)
    expect([await git('status', '--porcelain'), await git('rev-parse', 'HEAD'), await git('tag')]).toEqual([
      '',
      before,
      '',
    ])

    await rm(output, { recursive: true })
    const { stdout } = await release('7.8.9')
    expect(stdout).toContain('git push origin main v7.8.9')
    expect(stdout).toContain('npm publish ./artifacts/release/minikeepsafe-7.8.9.tgz')
    expect(await git('status', '--porcelain')).toBe('')
    expect(await git('tag', '--points-at', 'HEAD')).toBe('v7.8.9')
    expect(await git('rev-parse', 'HEAD~1')).toBe(before)
    expect(await read('CHANGELOG.md')).toMatch(/^## Unreleased\n\n## 7\.8\.9 - \d{4}-\d\d-\d\d\n\n- Something new\.$/m)
    for (const path of ['package.json', 'package-lock.json', 'clients/typescript/package.json', 'web/package.json']) {
      expect(JSON.parse(await read(path)).version).toBe('7.8.9')
    }
    expect(JSON.parse(await read('docs/openapi/v1.json')).info.version).toBe('7.8.9')

    execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: output, stdio: 'ignore' })
    expect((await read('artifacts/release/SHA256SUMS')).trim().split('\n')).toHaveLength(3)
    const sbom = JSON.parse(await read('artifacts/release/minikeepsafe-7.8.9.cdx.json'))
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', metadata: { component: { version: '7.8.9' } } })
    const packed = (name: string) => execFileSync('tar', ['-tzf', join(output, name)], { encoding: 'utf8' })
    expect(packed('minikeepsafe-7.8.9.tgz')).toContain('package/dist/cli.js\n')
    const client = packed('minikeepsafe-client-7.8.9.tgz').trim().split('\n')
    expect(client).toEqual(
      expect.arrayContaining(['package/dist/index.js', 'package/dist/backup/main.js', 'package/LICENSE']),
    )
    expect(
      client.filter(
        (path) => !/^package\/(?:dist\/[\w/.-]+\.(?:js|d\.ts)|README\.md|LICENSE|package\.json)$/.test(path),
      ),
    ).toEqual([])
    const program = execFileSync('tar', ['-xzOf', join(output, 'minikeepsafe-7.8.9.tgz'), 'package/package.json'], {
      encoding: 'utf8',
    })
    expect(JSON.parse(program)).toMatchObject({ version: '7.8.9' })

    await expect(release('7.8.9')).rejects.toMatchObject({
      stdout: expect.stringContaining('there is a tag v7.8.9 already'),
    })
    await expect(release('patch')).rejects.toMatchObject({ stdout: expect.stringContaining('nothing to release') })
    expect(await git('status', '--porcelain')).toBe('')
  })

  it('is refused on another branch, with changes, with a licence that is not allowed, and leaves everything', async () => {
    const { git, release, change } = await clone()
    const refused = async (args: string[], reason: string) => {
      const before = await git('status', '--porcelain')
      await expect(release(...args)).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining(reason) })
      expect(await git('status', '--porcelain')).toBe(before)
      expect(await git('tag')).toBe('')
    }
    await refused([], 'usage: npm run release')
    await git('checkout', '--quiet', '-b', 'other')
    await refused(['minor'], 'made on the branch main')
    await git('checkout', '--quiet', 'main')
    await change('README.md', (text) => `${text}\n`)
    await refused(['minor'], 'not committed')
    await git('restore', '.')
    await change('package-lock.json', (text) => {
      const lock = JSON.parse(text)
      lock.packages['node_modules/nanoid'].license = 'GPL-3.0-only'
      return `${JSON.stringify(lock, null, 2)}\n`
    })
    await git('commit', '--quiet', '--all', '--message', 'a licence')
    await refused(['minor'], `GPL-3.0-only`)
  })
})
