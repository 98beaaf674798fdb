import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigSchema } from '../src/config/schema.ts'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs', 'security.md'), 'utf8')
/** `test/file.ts` “whole name”, “whole name” */
const cited = [...page.matchAll(/`(test\/[^`]+)`((?: “[^”]+”,?)*)/g)].map(([, path = '', names = '']) => ({
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
    for (const promise of promises) expect(promise).toMatch(/`test\/[^`]+` “/)
    expect(cited.filter(({ names }) => names.length === 0)).toEqual([])
  })

  it('names settings that exist', () => {
    const named = [...page.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`/g)].map(([, name = '']) => name)
    expect(named).toContain('PIN_DELIVERY')
    expect(named.filter((name) => !(name in ConfigSchema.properties))).toEqual([])
  })
})

/** What stands where the name of a test or of a group does: `it('…'`, `describe('…'`, or after the table of either. */
function titlesIn(source: string): Set<string> {
  const titles = source.matchAll(/(?:^|[^\w.])(?:it|describe)\(\s*'([^'\n]+)'|\)\(\s*'([^'\n]+)',/g)
  return new Set([...titles].map(([, plain, each]) => plain ?? each ?? ''))
}
