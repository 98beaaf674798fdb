import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'

interface Package {
  engines?: { node?: string }
  hasInstallScript?: boolean
}

const root = join(import.meta.dirname, '..')
const read = (name: string) => JSON.parse(readFileSync(join(root, name), 'utf8'))
const { engines, allowScripts } = read('package.json') as { engines: { node: string }; allowScripts: object }
const { packages } = read('package-lock.json') as { packages: Record<string, Package> }
const installed = Object.entries(packages).filter(([path]) => path !== '')

describe('the packages', () => {
  it('run on the oldest Node that this one runs on, so npm warns of none', () => {
    const oldest = /\d+/.exec(engines.node)?.[0]
    const newer = installed.filter(([, { engines }]) => {
      const majors = (engines?.node ?? '*').split('||').map((range) => Number(/\d+/.exec(range)?.[0] ?? 0))
      return Math.min(...majors) > Number(oldest)
    })
    expect(newer.map(([path]) => path)).toEqual([])
  })

  it('are loaded at the start only if every server needs them', async () => {
    const { metafile } = await build({
      entryPoints: [join(root, 'src', 'server.ts')],
      outdir: 'nowhere',
      write: false,
      bundle: true,
      splitting: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      metafile: true,
    })
    const loaded = new Set<string>()
    const load = (path: string) => {
      if (loaded.has(path)) return
      loaded.add(path)
      for (const { kind, path: next } of metafile.outputs[path]?.imports ?? [])
        if (kind === 'import-statement') load(next)
    }
    const server = Object.keys(metafile.outputs).find((path) => path.endsWith('server.js')) as string
    load(server)
    expect(loaded).toContain('better-sqlite3')
    const atFirstUse =
      /^(?:@aws-sdk|@fastify\/(?:swagger|otel)|@opentelemetry|ioredis|mime-types|nodemailer|pg|pino-pretty|prom-client)/
    expect([...loaded].filter((path) => atFirstUse.test(path))).toEqual([])
  })

  it('run no script when they are installed but SQLite’s', () => {
    const named = installed
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => path.split('node_modules/').at(-1))
    expect(Object.keys(allowScripts)).toEqual(expect.arrayContaining(named))
    expect(Object.entries(allowScripts).filter(([, allowed]) => allowed)).toEqual([['better-sqlite3', true]])
  })
})
