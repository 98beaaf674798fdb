/** The built web vault, in dist/web: what it loads at first, and what its policy and its caching rely on. */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { WEB_FOLDER } from '../support/build.ts'

/** A phone on a slow connection (1.6 Mbit/s) has them in 0.3 s. */
const FIRST_SCRIPT_BYTES = 60_000

/** Names of vocabularies, which nothing loads. */
const NAMESPACES = /^http:\/\/(?:www\.w3\.org|ns\.adobe\.com|purl\.org|iptc\.org|ns\.google\.com|fallback\.namespace)\//

interface Chunk {
  file: string
  imports?: string[]
}

const text = (name: string) => readFileSync(join(WEB_FOLDER, name), 'utf8')
const files = readdirSync(WEB_FOLDER, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => join(parentPath, name).slice(WEB_FOLDER.length + 1))
const texts = files.filter((name) => ['.html', '.js', '.css', '.svg', '.webmanifest'].includes(extname(name)))
const page = text('index.html')

it(`loads at most ${FIRST_SCRIPT_BYTES / 1000} KB of script before the first picture`, () => {
  const sizes = firstScripts().map((name) => [name, gzipSync(text(name), { level: 9 }).length] as const)
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 0)
  const parts = sizes.map(([name, size]) => `${name} ${size}`).join(', ')
  process.stdout.write(`The web vault loads ${bytes} bytes of script first (min+gzip): ${parts}\n`)
  expect(bytes).toBeGreaterThan(0)
  expect(bytes).toBeLessThanOrEqual(FIRST_SCRIPT_BYTES)
})

it('has no inline script, style or handler in its page', () => {
  expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i)
})

it('names no other host', () => {
  const others = texts.flatMap((name) => {
    const urls = text(name).match(/https?:\/\/[^\s"'`)<>\\]*|(?<=["'`(])\/\/[\w-]+\.[\w.-]+/g) ?? []
    return urls.filter((url) => !NAMESPACES.test(url)).map((url) => `${name}: ${url}`)
  })
  expect(others).toEqual([])
})

it('has no data: URL, which its policy would block', () => {
  expect(texts.filter((name) => /(?:url\(|\ssrc=|\shref=)["']?data:/.test(text(name)))).toEqual([])
})

it('has a hash in the name of each file that is cached for a year', () => {
  const assets = files.filter((name) => name.startsWith('assets/'))
  expect(assets).not.toEqual([])
  expect(assets.filter((name) => !/-[\w-]{8}\.\w+(?:\.br|\.gz)?$/.test(name))).toEqual([])
})

/** The scripts that the page names, and what they import. */
function firstScripts(): string[] {
  const chunks: Record<string, Chunk> = JSON.parse(text('.vite/manifest.json'))
  const imports = new Map(Object.values(chunks).map(({ file, imports = [] }) => [file, imports]))
  const found = new Set<string>()
  const add = (file: string) => {
    if (found.has(file)) return
    found.add(file)
    for (const key of imports.get(file) ?? []) add(chunks[key]?.file ?? key)
  }
  const named = page.matchAll(/<(?:script|link rel="modulepreload")[^>]*(?:src|href)="\/([^"]*)"/g)
  for (const [, file = ''] of named) add(file)
  return [...found]
}
