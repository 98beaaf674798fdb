import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Who may import whom: this table is the rule. A layer's own files may always import each other. */
const MAY_IMPORT: Record<string, string[]> = {
  server: ['compose', 'app', 'config', 'vault', 'version'],
  cli: ['server', 'commands', 'config', 'version'],
  commands: ['compose', 'config', 'vault', 'ports', 'version'],
  compose: ['adapters', 'ports', 'config'],
  app: ['plugins', 'routes', 'http', 'vault'],
  routes: ['http', 'schemas', 'problems', 'vault', 'ports', 'version'],
  plugins: ['http', 'schemas', 'problems', 'vault', 'ports', 'config', 'version'],
  http: ['schemas', 'problems', 'vault', 'ports'],
  vault: ['ports', 'problems'],
  adapters: ['ports', 'text-files'],
  ports: [],
  problems: [],
  config: ['text-files'],
  schemas: ['problems'],
  'text-files': [],
  version: [],
}

/** A driver is imported by its own adapter and nowhere else. The metrics keep theirs, too: it is loaded only if they are on. */
const DRIVERS: Record<string, string> = {
  'better-sqlite3': 'src/adapters/sqlite/',
  ioredis: 'src/adapters/redis/',
  nodemailer: 'src/adapters/delivery/',
  '@aws-sdk/client-s3': 'src/adapters/s3/',
  pg: 'src/adapters/postgres/',
  'prom-client': 'src/plugins/metrics/',
}

/** What knows HTTP stays out of what does not. */
const HTTP_PACKAGES = /^(fastify|@fastify\/|node:http)/

const src = join(import.meta.dirname, '..', 'src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))
const imports = files.flatMap((path) => importsIn(src, path).map((target) => ({ from: path, target })))
const ours = imports
  .filter(({ target }) => target.startsWith('.'))
  .map(({ from, target }) => ({ from, to: relative(src, join(src, dirname(from), target)) }))
function importsIn(folder: string, path: string): string[] {
  const text = readFileSync(join(folder, path), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, target]) => target as string)
}

const layerOf = (path: string) => (path.split('/')[0] as string).replace(/\.ts$/, '')

describe('the layers', () => {
  it('have no file beside a folder of the same name', () => {
    const folders = new Set(files.map((path) => dirname(path)))
    expect(files.filter((path) => folders.has(path.replace(/\.ts$/, '')))).toEqual([])
  })

  it('are all in the table', () => {
    expect([...new Set(files.map(layerOf))].sort()).toEqual(Object.keys(MAY_IMPORT).sort())
  })

  it('import along the table and never back', () => {
    const wrong = ours.filter(({ from, to }) => {
      return layerOf(from) !== layerOf(to) && !MAY_IMPORT[layerOf(from)]?.includes(layerOf(to))
    })
    expect(wrong).toEqual([])
  })

  it('have adapters that do not know each other', () => {
    const engineOf = (path: string) => path.split('/')[1]
    const wrong = ours.filter(
      ({ from, to }) => layerOf(from) === 'adapters' && layerOf(to) === 'adapters' && engineOf(from) !== engineOf(to),
    )
    expect(wrong).toEqual([])
  })

  it('have plugins with names, because looking for one slows each start down', () => {
    const nameless = files.filter((path) =>
      /fastifyPlugin(<[^>]*>)?\(async \(/.test(readFileSync(join(src, path), 'utf8')),
    )
    expect(nameless).toEqual([])
  })

  it('keep a driver in its own adapter', () => {
    const wrong = imports.filter(({ from, target }) => {
      const home = DRIVERS[target]
      return home !== undefined && !`src/${from}`.startsWith(home)
    })
    expect(wrong).toEqual([])
  })

  it('keep HTTP out of the vault and its adapters', () => {
    const inner = ['vault', 'adapters', 'ports', 'problems', 'config']
    const wrong = imports.filter(({ from, target }) => inner.includes(layerOf(from)) && HTTP_PACKAGES.test(target))
    expect(wrong).toEqual([])
  })

  it('leave the log of a request that they do not own to the framework', () => {
    const ours = files.filter((path) => !path.endsWith('request-logs.ts'))
    const wrong = ours.filter((path) => {
      const text = readFileSync(join(src, path), 'utf8')
      return /\b(?:request|reply|req)\.log\b|\{[^{}]*\blog\b[^{}]*\}(?:: Fastify(?:Request|Reply)| = (?:request|reply)\b)/.test(
        text,
      )
    })
    expect(wrong, 'use logOf(request) of http/request-logs.ts').toEqual([])
  })

  it('know no client', () => {
    expect(imports.filter(({ target }) => /clients\/|@minikeepsafe\//.test(target))).toEqual([])
  })

  it('let only commands import the part of the vault that is for the operator', () => {
    const wrong = ours.filter(
      ({ from, to }) =>
        to.startsWith('vault/operator/') && !from.startsWith('vault/operator/') && layerOf(from) !== 'commands',
    )
    expect(wrong).toEqual([])
  })

  it('keep SQL and files out of the vault', () => {
    const wrong = imports.filter(({ from, target }) => layerOf(from) === 'vault' && /^node:fs|sqlite/.test(target))
    expect(wrong).toEqual([])
  })
})

describe('the client', () => {
  const client = join(import.meta.dirname, '..', 'clients', 'typescript', 'src')
  const targets = readdirSync(client, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && path !== 'generated.ts')
    .flatMap((path) => importsIn(client, path).map((target) => ({ from: path, target })))

  it('imports nothing of the server, and no package', () => {
    const outside = ({ from, target }: (typeof targets)[number]) =>
      target.startsWith('.') ? relative(client, join(client, dirname(from), target)).startsWith('..') : true
    expect(targets.filter((one) => outside(one) && !one.target.startsWith('node:'))).toEqual([])
  })

  it('needs Node only where it is for Node', () => {
    const wrong = targets.filter(({ from, target }) => target.startsWith('node:') && !/^(?:node|backup)\//.test(from))
    expect(wrong).toEqual([])
  })
})
