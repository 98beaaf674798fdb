import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith('commands'))
  .map((path) => readFileSync(join(root, 'src', path), 'utf8'))

const page = readFileSync(join(root, 'docs', 'operating.md'), 'utf8')
const section = page.slice(page.indexOf('### Warnings and errors'), page.indexOf('\n## Tracing'))
const [messages = '', works = ''] = section.split('| work that failed |')

/** The texts in backticks of the first column. */
const named = (table: string) =>
  [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text as string),
  )

/** What the vault does in the background, by the names that it gives to `alarm`. */
function worksOfVault(): string[] {
  const calls = [
    /\b(?:background|attempt|run|aside\.take)\(\s*'([a-z][^']+)'/g,
    /\balarm\([^'`\n]+, ['`]([^'`]+)['`]\)/g,
    // The steps of the sweeper.
    /^ {8}'([a-z][a-z ]+)': [\w(]/gm,
  ]
  const found = sources.flatMap((text) =>
    calls.flatMap((call) => [...text.matchAll(call)].map(([, name]) => name as string)),
  )
  // Its errors are those of its request.
  return [...new Set(found)].filter((name) => name !== 'an upload').map((name) => name.replace(/\$\{.*\}/, '…'))
}

/** The messages of warnings and errors after the start. */
function messagesOfServer(): string[] {
  const calls = [
    /\blog(?:Of\(\w+\))?\.(?:warn|error|fatal)\([^'`\n]*['`]([^'`\n]+)['`]/g,
    /\bown\(\)\[as\]\(\s*\{[^}]*\},\s*'([^']+)'/g,
    // Adapters and `compose/` get a function that writes a warning.
    /(?<![.\w])(?:log|warn)\((?:\{[^}]*\}, )?['`]([^'`\n]+)['`]/g,
  ]
  const found = sources.flatMap((text) =>
    calls.flatMap((call) => [...text.matchAll(call)].map(([, message]) => message as string)),
  )
  return found.map((message) => message.replace(/\$\{[^}]*\}/g, '…'))
}

it('docs/operating.md has every work in the background that can fail, and no other', () => {
  expect(named(works).sort()).toEqual(worksOfVault().sort())
})

it('docs/operating.md has every warning and error of a running server, and no other', () => {
  const AT_START =
    /^(made a master key|the last stop was not clean|\.env has|the web vault was not built|ending at once)/
  const isDocumented = (message: string) =>
    section.includes(`\`${message}\``) || named(messages).some((text) => message.startsWith(text.replace(/…\)$/, '')))
  expect(messagesOfServer().filter((message) => !AT_START.test(message) && !isDocumented(message))).toEqual([])
  const all = sources.join('\n')
  const partsOf = (text: string) => text.split('…').filter((part) => part.length > 3)
  const stale = named(messages).filter((text) => !partsOf(text).every((part) => all.includes(part)))
  expect(stale).toEqual([])
})

it('docs/operating.md quotes the symptoms that are errors at the start as the program writes them', () => {
  const symptoms = page.slice(page.indexOf('## By symptom'), page.indexOf('\n## Commands'))
  const quoted = [...symptoms.matchAll(/^\| (".*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/"([^"]+)"/g)].flatMap(([, text = '']) => text.split(' … ')),
  )
  const all = sources.join('\n')
  expect(quoted.length).toBeGreaterThan(3)
  expect(quoted.filter((text) => !all.includes(text))).toEqual([])
})
