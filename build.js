/**
 * Builds dist/ from src/, and dist/web/ from web/, unless that was done already. What the sources are goes by their content:
 * git sets times as it pleases. Packages of plain JavaScript become part of the programs: reading their hundreds of files took
 * half of each start.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'

process.chdir(import.meta.dirname)
const PROGRAMS = { main: 'src/server.ts', cli: 'src/cli.ts', config: 'src/config/config.ts' }
/**
 * Starts the server. Node 22 and later keep compiled code in that folder, unless it cannot be written. It is no part of a package or
 * an image.
 */
const SERVER = `import module from 'node:module'
import { fileURLToPath } from 'node:url'

module.enableCompileCache?.(fileURLToPath(new URL('../node_modules/.cache/minikeepsafe/', import.meta.url)))
await import('./main.js')
`
/** Has the hash of the sources that dist/ was built from. It is written last, so a build that broke off does not count. */
const STAMP = join('dist', '.built-from')
/** Packages that stay in node_modules: they have binaries, files or threads of their own, or are loaded only where they are set. */
const APART =
  /^(?:better-sqlite3|pino|pino-pretty|@fastify\/swagger-ui|pg|ioredis|@aws-sdk|nodemailer|@opentelemetry|@fastify\/otel)(?:\/|$)/
/** The licences of the packages that became part of `dist/`, which must go with them. */
const NOTICES = join('dist', 'THIRD-PARTY.txt')
/** Packages that are not ES modules call `require`. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)`

/** The web vault has parts of the client in it. */
const WEB_SOURCES = [...filesIn('web').filter(isSource), ...filesIn('clients/typescript/src')]
const WEB = join('dist', 'web')
/** Files that become smaller. Those of pictures and fonts do not. */
const TEXT = /\.(?:html|js|css|svg|json|webmanifest|txt)$/

const hash = hashOf(['build.js', 'package-lock.json', ...filesIn('src'), ...WEB_SOURCES])
if (!isBuilt()) process.exitCode = await build()

function isBuilt() {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== hash) return false
  const made = ['server', ...Object.keys(PROGRAMS)]
    .map((name) => join('dist', `${name}.js`))
    .concat(join(WEB, 'index.html'))
  return made.every((path) => existsSync(path))
}

async function build() {
  const [esbuild, vite] = await Promise.all(['esbuild', 'vite'].map((name) => import(name).catch(() => null)))
  if (!esbuild || !vite) {
    process.stderr.write(
      'There is no compiler to build dist/ with. Install it, then start again: npm install --include=dev\n',
    )
    return 1
  }
  rmSync('dist', { recursive: true, force: true })
  let parts
  try {
    const { metafile } = await esbuild.build({
      metafile: true,
      entryPoints: PROGRAMS,
      outdir: 'dist',
      bundle: true,
      splitting: true,
      platform: 'node',
      target: 'node20.19',
      format: 'esm',
      banner: { js: REQUIRE },
      logLevel: 'warning',
      plugins: [{ name: 'packages apart', setup: ({ onResolve }) => onResolve({ filter: APART }, apart) }],
    })
    parts = packagesOf(Object.keys(metafile.inputs))
  } catch {
    // esbuild has printed the reason.
    return 1
  }
  try {
    parts.push(...(await buildWeb(vite)))
  } catch ({ message }) {
    process.stderr.write(`The web vault in web/ cannot be built: ${message}\n`)
    return 1
  }
  writeFileSync(NOTICES, noticesOf(parts))
  writeFileSync(join('dist', 'server.js'), SERVER)
  writeFileSync(STAMP, hash)
  return 0
}

/** Name, version and licence of each package that one of the files belongs to. */
function packagesOf(paths) {
  const folders = paths.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [])
  return [...new Set(folders)].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
    return { name, version, identifier: license, text: file ? readFileSync(join(folder, file), 'utf8') : '' }
  })
}

function noticesOf(parts) {
  const texts = parts.map(({ name, version, identifier, text }) => {
    const source = `https://www.npmjs.com/package/${name}/v/${version}`
    return `${name} ${version} (${identifier}), source: ${source}\n\n${text?.trim() ?? ''}\n`
  })
  const line = `\n${'-'.repeat(80)}\n\n`
  return ['Parts of these packages are in this folder.\n', ...[...new Set(texts)].sort()].join(line)
}

/** Returns the packages that are part of the page. */
async function buildWeb(vite) {
  // Where it is set otherwise, as in tests, Vite makes a page for development.
  process.env.NODE_ENV = 'production'
  await vite.build({
    configFile: join('web', 'vite.config.ts'),
    logLevel: 'silent',
    build: { outDir: resolve(WEB), emptyOutDir: true, license: { fileName: 'licenses.json' } },
  })
  const licenses = join(WEB, 'licenses.json')
  const parts = JSON.parse(readFileSync(licenses, 'utf8'))
  rmSync(licenses)
  for (const path of filesIn(WEB).filter((path) => TEXT.test(path))) {
    const bytes = readFileSync(path)
    for (const [extension, coded] of [
      ['.br', brotliCompressSync(bytes)],
      ['.gz', gzipSync(bytes, { level: 9 })],
    ]) {
      if (coded.length < bytes.length) writeFileSync(path + extension, coded)
    }
  }
  return parts
}

function apart({ path }) {
  return { path, external: true }
}

/** What the page is made of, without its tests. */
function isSource(path) {
  return !/^web[\\/](?:node_modules|dist|test|bench)[\\/]/.test(path)
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
}

function hashOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths) hash.update(`${path}\0`).update(readFileSync(path)).update('\0')
  return hash.digest('hex')
}
