/**
 * Builds dist/ from src/, unless that was done already. What src/ is goes by its content: git sets times as it pleases.
 * Packages of plain JavaScript become part of the programs: reading their hundreds of files took half of each start.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

process.chdir(import.meta.dirname)
const PROGRAMS = { server: 'src/server.ts', cli: 'src/cli.ts', config: 'src/config/config.ts' }
/** Has the hash of the sources that dist/ was built from. It is written last, so a build that broke off does not count. */
const STAMP = join('dist', '.built-from')
/** Packages that stay in node_modules: they have binaries, files or threads of their own, or are loaded only where they are set. */
const APART = /^(?:better-sqlite3|pino|pino-pretty|@fastify\/swagger-ui|pg|ioredis|@aws-sdk|nodemailer)(?:\/|$)/
/** Packages that are not ES modules call `require`. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)`

const hash = hashOf(['build.js', 'package-lock.json', ...filesIn('src')])
if (!isBuilt()) process.exitCode = await build()

function isBuilt() {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== hash) return false
  return Object.keys(PROGRAMS).every((name) => existsSync(join('dist', `${name}.js`)))
}

async function build() {
  const esbuild = await import('esbuild').catch(() => null)
  if (!esbuild) {
    process.stderr.write(
      'There is no compiler to build dist/ with. Install it, then start again: npm install --include=dev\n',
    )
    return 1
  }
  rmSync('dist', { recursive: true, force: true })
  try {
    await esbuild.build({
      entryPoints: PROGRAMS,
      outdir: 'dist',
      bundle: true,
      splitting: true,
      platform: 'node',
      target: 'node20.19',
      format: 'esm',
      banner: { js: REQUIRE },
      sourcemap: true,
      sourcesContent: false,
      logLevel: 'warning',
      plugins: [{ name: 'packages apart', setup: ({ onResolve }) => onResolve({ filter: APART }, apart) }],
    })
  } catch {
    // esbuild has printed the reason.
    return 1
  }
  writeFileSync(STAMP, hash)
  return 0
}

function apart({ path }) {
  return { path, external: true }
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .sort()
}

function hashOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(`${path}\0`).update(readFileSync(path)).update('\0')
  return hash.digest('hex')
}
