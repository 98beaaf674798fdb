/** The package that `npm pack` makes. `.ci/package` installs it. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

/** All that an installation needs: programs, the page, and what an operator reads or copies. */
const ALLOWED = [
  /^(?:package\.json|LICENSE|README\.md|CHANGELOG\.md|SECURITY\.md|\.env\.example)$/,
  /^docs\/[a-z-]+\.md$/,
  /^deploy\/(?:fail2ban|monitoring|nginx|systemd)\//,
  /^dist\/[\w-]+\.[cm]?js(?:\.map)?$/,
  /^dist\/THIRD-PARTY\.txt$/,
  /^dist\/web\/(?:[\w.-]+|\.vite\/manifest\.json(?:\.br|\.gz)?|assets\/[\w.-]+)$/,
]

interface Packed {
  files: { path: string }[]
  bundled: string[]
}

function packed(): Packed {
  // The build, which packing runs, prints lines of its own before the JSON.
  const output = execFileSync('npm', ['pack', '--dry-run', '--json'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return (JSON.parse(output.slice(output.indexOf('[\n'))) as [Packed])[0]
}

describe('the package of the server', () => {
  const { files, bundled } = packed()
  const paths = files.map(({ path }) => path)

  it('has what is run, and nothing that is not on the list', () => {
    expect(paths.filter((path) => !ALLOWED.some((allowed) => allowed.test(path)))).toEqual([])
    expect(bundled).toEqual([])
    expect(paths).toEqual(
      expect.arrayContaining([
        'dist/cli.js',
        'dist/server.js',
        'dist/web/index.html',
        'dist/web/index.html.br',
        'dist/THIRD-PARTY.txt',
        '.env.example',
        'LICENSE',
        'docs/operating.md',
      ]),
    )
  })

  it('has the program as its command', () => {
    const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> }
    expect(bin).toEqual({ minikeepsafe: 'dist/cli.js' })
    expect(readFileSync(join(root, 'dist', 'cli.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  it('has the licences of the packages whose code is in it', () => {
    const notices = readFileSync(join(root, 'dist', 'THIRD-PARTY.txt'), 'utf8')
    expect(notices).toMatch(/^fastify \S+ \(MIT\), source: /m)
    expect(notices).toMatch(/^preact \S+ \(MIT\), source: /m)
    expect(notices).toContain('Mozilla Public License')
    expect(notices).toContain('Copyright (c) 2016-present The Fastify team')
  })
})
