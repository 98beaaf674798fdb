import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { problemCatalogue, problems } from '../src/problems.ts'

it('are all in docs/problems.md, and nothing else is', () => {
  const text = readFileSync(join(import.meta.dirname, '..', 'docs', 'problems.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `([a-z-]+)` \| (\d{3}) \| ([^|]+) \| ([^|]+) \|$/gm)]
  expect(rows.map(([, code, status, title]) => ({ code, status: Number(status), title }))).toEqual(problemCatalogue)
})

it('can all be thrown, and nothing else can', () => {
  const detailOf = Object.values(problems) as ((...args: never[]) => { code: string })[]
  const codes = detailOf.map((make) => make(...([[], []] as never[])).code)
  expect([...new Set(codes)].sort()).toEqual(problemCatalogue.map(({ code }) => code).sort())
})
