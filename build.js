/** Builds dist/ from src/, unless that was done already. What src/ is goes by its content: git sets times as it pleases. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

process.chdir(import.meta.dirname)
/** Has the hash of the sources that dist/ was built from. It is written last, so a build that broke off does not count. */
const STAMP = join('dist', '.built-from')
const COMPILER = join('node_modules', 'typescript', 'bin', 'tsc')

const sources = filesIn('src', '.ts')
const programs = new Set(sources.map((name) => name.replace(/\.ts$/, '.js')))
const hash = hashOf(['tsconfig.json', 'tsconfig.build.json', ...sources.map((name) => join('src', name))])
if (!isBuilt()) process.exitCode = build()

function isBuilt() {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== hash) return false
  return [...programs].every((name) => existsSync(join('dist', name)))
}

function build() {
  if (!existsSync(COMPILER)) {
    process.stderr.write(
      'There is no compiler to build dist/ with. Install it, then start again: npm install --include=dev\n',
    )
    return 1
  }
  rmSync(STAMP, { force: true })
  const { status } = spawnSync(process.execPath, [COMPILER, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
  if (status !== 0) return 1
  for (const name of filesIn('dist', '.js')) if (!programs.has(name)) rmSync(join('dist', name))
  writeFileSync(STAMP, hash)
  return 0
}

function filesIn(folder, extension) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(extension))
    .sort()
}

function hashOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(`${path}\0`).update(readFileSync(path)).update('\0')
  return hash.digest('hex')
}
