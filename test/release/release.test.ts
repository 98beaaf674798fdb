/** The parts of `npm run release`. test/slow/release.test.ts makes a release. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { withRelease } from '../../release/changelog.ts'
import { type Lock, refusedIn, sbomOf, shippedIn } from '../../release/shipped.ts'
import { nextVersion, withLockedVersion, withVersion } from '../../release/versions.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const lock = JSON.parse(read('package-lock.json')) as Lock
const shipped = () => shippedIn(lock, read('dist/THIRD-PARTY.txt'))

describe('the version', () => {
  it.each([
    ['patch', '1.9.10'],
    ['minor', '1.10.0'],
    ['major', '2.0.0'],
    ['1.9.9', '1.9.9'],
    ['1.10.0', '1.10.0'],
  ])('after 1.9.9 is for %s %s', (bump, version) => {
    expect(nextVersion('1.9.9', bump)).toBe(version)
  })

  it.each(['1.9.8', '0.10.0', '1.9', 'v2.0.0', '2.0.0-rc.1', 'tiny'])('is not %s after 1.9.9', (bump) => {
    expect(() => nextVersion('1.9.9', bump)).toThrow(bump)
  })

  it('changes in the package files alone', () => {
    const { version } = JSON.parse(read('package.json'))
    for (const path of ['package.json', 'clients/typescript/package.json', 'web/package.json']) {
      expect(JSON.parse(withVersion(read(path), '7.8.9'))).toEqual({ ...JSON.parse(read(path)), version: '7.8.9' })
    }
    const locked = withLockedVersion(read('package-lock.json'), '7.8.9')
    expect(JSON.parse(locked).packages).toMatchObject({
      '': { version: '7.8.9' },
      web: { version: '7.8.9' },
      'clients/typescript': { version: '7.8.9' },
      'node_modules/fastify': { version: expect.not.stringMatching('7.8.9') },
    })
    expect(withLockedVersion(locked, version)).toBe(read('package-lock.json'))
  })
})

describe('the changelog', () => {
  const before = '# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 1.0.0 - 2026-01-01\n\n- The first.\n'

  it('has what was unreleased under the version, and an empty section for what comes', () => {
    expect(withRelease(before, '1.1.0', '2026-02-03')).toBe(
      before.replace('## Unreleased\n', '## Unreleased\n\n## 1.1.0 - 2026-02-03\n'),
    )
  })

  it('needs something to release', () => {
    const released = withRelease(before, '1.1.0', '2026-02-03')
    expect(() => withRelease(released, '1.2.0', '2026-02-04')).toThrow('there is nothing to release')
    expect(() => withRelease('# Changelog\n', '1.2.0', '2026-02-04')).toThrow('has no line')
  })
})

describe('the licences', () => {
  it('of everything that is shipped are allowed', () => {
    expect(refusedIn(shipped())).toEqual([])
    expect(shipped().map(({ name }) => name)).toEqual(expect.arrayContaining(['fastify', 'pg', 'preact', 'exifreader']))
    expect(shipped().map(({ name }) => name)).not.toContain('vitest')
  })

  it.each([
    ['GPL-3.0-only', true],
    ['AGPL-3.0-or-later', true],
    ['MPL-2.0', true],
    ['(MIT AND GPL-2.0-only)', true],
    ['SEE LICENSE IN LICENSE', true],
    [undefined, true],
    ['(MIT OR GPL-3.0-only)', false],
    ['Apache-2.0', false],
  ])('%j is refused: %s', (license, refused) => {
    const packages = { 'node_modules/other': { version: '1.0.0', ...(license === undefined ? {} : { license }) } }
    expect(refusedIn(shippedIn({ packages }, ''))).toHaveLength(refused ? 1 : 0)
  })

  it('of packages of development are theirs, unless parts of these are shipped', () => {
    const packages = { 'node_modules/tool': { version: '1.0.0', license: 'GPL-3.0-only', dev: true } }
    expect(refusedIn(shippedIn({ packages }, ''))).toEqual([])
    const notices = 'tool 1.0.0 (MIT), source: https://example.org\n'
    expect(refusedIn(shippedIn({ packages }, notices))).toEqual(['tool 1.0.0: GPL-3.0-only'])
    expect(() => shippedIn({ packages: {} }, notices)).toThrow('not locked: tool@1.0.0')
  })
})

describe('the SBOM', () => {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 1024 ** 3 } as const
  const all = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], options)
  const sbom = sbomOf(JSON.parse(all), shipped())

  it('lists every package that is shipped, and no other', () => {
    const names = (list: { name: string; version: string }[]) => list.map((one) => `${one.name}@${one.version}`).sort()
    expect(names(sbom.components)).toEqual(names(shipped()))
    expect(new Set(sbom.components.map(({ scope }) => scope))).toEqual(new Set(['required']))
  })

  it('says what needs what, with no end open', () => {
    const refs = new Set([sbom.metadata.component['bom-ref'], ...sbom.components.map((one) => one['bom-ref'])])
    const ends = sbom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn])
    expect(ends.filter((ref) => !refs.has(ref))).toEqual([])
    expect(sbom.metadata.component.name).toBe('minikeepsafe')
    expect(sbom.dependencies[0]?.dependsOn).toEqual(expect.arrayContaining([expect.stringMatching(/^preact@/)]))
  })
})
