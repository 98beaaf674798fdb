import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigSchema } from '../src/config/schema.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs', 'security.md'), 'utf8')
/** `test/file.ts` “whole name”, “whole name” */
const cited = [...page.matchAll(/`((?:web\/)?test\/[^`]+)`((?: “[^”]+”,?)*)/g)].map(([, path = '', names = '']) => ({
  path,
  names: [...names.matchAll(/“([^”]+)”/g)].map(([, name = '']) => name),
}))

describe('docs/security.md', () => {
  it('cites tests that exist', () => {
    const missing = cited.flatMap(({ path, names }) => {
      if (!existsSync(join(root, path))) return [path]
      const titles = titlesIn(readFileSync(join(root, path), 'utf8'))
      return names.filter((name) => !titles.has(name)).map((name) => `${path}: ${name}`)
    })
    expect(missing).toEqual([])
  })

  it('shows each promise by a test', () => {
    const promises =
      page
        .split('## Promises')[1]
        ?.match(/^\| [^-].*$/gm)
        ?.slice(1) ?? []
    expect(promises.length).toBeGreaterThan(0)
    for (const promise of promises) expect(promise).toMatch(/`(?:web\/)?test\/[^`]+` “/)
    expect(cited.filter(({ names }) => names.length === 0)).toEqual([])
  })

  it('names settings that exist', () => {
    const named = [...page.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`/g)].map(([, name = '']) => name)
    expect(named).toContain('PIN_DELIVERY')
    expect(named.filter((name) => !(name in ConfigSchema.properties))).toEqual([])
  })

  it('names source files, folders and commands that exist', () => {
    const paths = [...page.matchAll(/`((?:[\w-]+\/)*[\w-]+\.(?:ts|json)|(?:[\w-]+\/)+)`/g)].map(([, path = '']) => path)
    expect(paths).toEqual(expect.arrayContaining(['vault/sign-in/sessions.ts', 'deploy/']))
    const places = [root, join(root, 'src'), join(root, 'src', 'adapters')]
    expect(paths.filter((path) => !places.some((place) => existsSync(join(place, path))))).toEqual([])

    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
    const scriptNames = [...page.matchAll(/`npm run ([\w:]+)`/g)].map(([, name = '']) => name)
    expect(scriptNames).toContain('test:slow')
    expect(scriptNames.filter((name) => !(name in scripts))).toEqual([])
  })

  it('has the headings that links go to, its own and those of other pages', () => {
    const pages = ['README.md', 'SECURITY.md', ...pagesOfDocs()]
    const others = pages.map((name) => readFileSync(join(root, name), 'utf8')).join('\n')
    const targets = [...page.matchAll(/\]\(#([\w-]+)\)/g), ...others.matchAll(/security\.md#([\w-]+)/g)]
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
      return heading
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-')
    })
    const wanted = targets.map(([, target = '']) => target)
    expect(wanted).toContain('bounds')
    expect(wanted.filter((target) => !headings.includes(target))).toEqual([])
  })
})

/** Names of tests and groups: `it('…'`, `describe('…'`, or after the table of either. Comments do not count. */
function titlesIn(source: string): Set<string> {
  const titles = source.matchAll(
    /^\s*(?:it|describe)\(\s*'([^'\n]+)'|^(?!\s*\/\/).*\)\(\s*'([^'\n]+)',|^\s*'([^'\n]+)': (?:async )?\(\) =>/gm,
  )
  return new Set([...titles].map(([, plain, each, atOnce]) => plain ?? each ?? atOnce ?? ''))
}

function pagesOfDocs(): string[] {
  const names = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
  return names.map((name) => `docs/${name}`)
}
