/**
 * Makes a release from a clean checkout of `main`: `npm run release -- patch|minor|major|VERSION [--dry-run]`. It changes the
 * version and the changelog, packs into artifacts/release, commits and tags. Nothing leaves the machine: it prints what to push.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withRelease } from './changelog.ts'
import { refusedIn, sbomOf, shippedIn } from './shipped.ts'
import { nextVersion, withLockedVersion, withVersion } from './versions.ts'

const BRANCH = 'main'
const OUTPUT = join('artifacts', 'release')
const API = join('artifacts', 'openapi.json')
const PACKAGES = ['package.json', 'clients/typescript/package.json', 'web/package.json']

process.chdir(join(import.meta.dirname, '..'))
try {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { 'dry-run': { type: 'boolean' } } })
  const [bump] = positionals
  if (bump === undefined || positionals.length > 1) {
    throw new Error('usage: npm run release -- patch|minor|major|VERSION [--dry-run]')
  }
  release(bump, values['dry-run'] ?? false)
} catch (error) {
  say(`release: ${(error as Error).message}`)
  process.exitCode = 1
}

function release(bump: string, dryRun: boolean) {
  if (output('git', 'status', '--porcelain') !== '') throw new Error('there are changes that are not committed')
  const branch = output('git', 'branch', '--show-current')
  if (branch !== BRANCH) throw new Error(`a release is made on the branch ${BRANCH}, and this is ${branch || 'none'}`)
  const version = nextVersion(JSON.parse(read('package.json')).version, bump)
  const tag = `v${version}`
  if (output('git', 'tag', '--list', tag) !== '') throw new Error(`there is a tag ${tag} already`)
  run('node', 'build.js')
  const shipped = shippedIn(JSON.parse(read('package-lock.json')), read(join('dist', 'THIRD-PARTY.txt')))
  const refused = refusedIn(shipped)
  if (refused.length > 0)
    throw new Error(`these packages have licences that are not allowed:\n  ${refused.join('\n  ')}`)

  try {
    rename(version)
    pack(version, shipped)
  } catch (error) {
    undo()
    throw error
  }
  if (dryRun) {
    undo()
    say(`\n${version} was made in ${OUTPUT}, as a trial: nothing is committed, and the checkout is as before.`)
    return
  }
  run('git', 'commit', '--quiet', '--all', '--message', `chore: release ${version}`)
  run('git', 'tag', '--annotate', tag, '--message', `minikeepsafe ${version}`)
  say(`
${version} is in ${OUTPUT}, committed and tagged. Nothing has left this machine.

To publish it, after everything passes (bash .ci/run):
  git push origin ${BRANCH} ${tag}
  npm publish ./${OUTPUT}/minikeepsafe-${version}.tgz
  npm publish ./${OUTPUT}/minikeepsafe-client-${version}.tgz
Put ${readdirSync(OUTPUT).sort().join(', ')} beside the tag.

To take it back instead:
  git tag --delete ${tag} && git reset --hard HEAD~1`)
}

/** Changes the version everywhere, and the changelog. */
function rename(version: string) {
  const [date = ''] = new Date().toISOString().split('T')
  edit('CHANGELOG.md', (text) => withRelease(text, version, date))
  for (const path of PACKAGES) edit(path, (text) => withVersion(text, version))
  edit('package-lock.json', (text) => withLockedVersion(text, version))
  // A client of the released document goes on working: this is checked before the document becomes the released one.
  run('npm', 'run', '--silent', 'lint:api')
  run('npm', 'run', '--silent', 'check:api')
  copyFileSync(API, join('docs', 'openapi', 'v1.json'))
}

/** Makes the files of the release. */
function pack(version: string, shipped: ReturnType<typeof shippedIn>) {
  rmSync(OUTPUT, { recursive: true, force: true })
  mkdirSync(OUTPUT, { recursive: true })
  run('npm', 'pack', '--silent', '--pack-destination', OUTPUT)
  run('npm', 'pack', '--silent', '--pack-destination', OUTPUT, '--workspace', '@minikeepsafe/client')
  const all = JSON.parse(output('npm', 'sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'))
  write(join(OUTPUT, `minikeepsafe-${version}.cdx.json`), `${JSON.stringify(sbomOf(all, shipped), null, 2)}\n`)
  const sums = readdirSync(OUTPUT)
    .sort()
    .map((name) => `${sha256(join(OUTPUT, name))}  ${name}\n`)
  write(join(OUTPUT, 'SHA256SUMS'), sums.join(''))
}

/** The checkout was clean, so this undoes only what was done here. */
function undo() {
  run('git', 'restore', '.')
}

function edit(path: string, change: (text: string) => string) {
  write(path, change(read(path)))
}

function read(path: string): string {
  return readFileSync(path, 'utf8')
}

function write(path: string, text: string) {
  writeFileSync(path, text)
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

function run(program: string, ...args: string[]) {
  execFileSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] })
}

function output(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim()
}

function say(text: string) {
  process.stdout.write(`${text}\n`)
}
