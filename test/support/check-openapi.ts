/** Fails if a client of the released OpenAPI document would break: `check-openapi.ts RELEASED NOW`. */
import { readFileSync } from 'node:fs'
import { breakingChanges } from './api-changes.ts'

/** Changes that the rules refuse and that break nobody, each with the reason. Empty it with the next released document. */
const ACCEPTED: Record<string, string> = {
  'response OpenedSession: token may be missing now': 'only if the request has `cookie`, which no older client sends',
}

const [released, now] = process.argv.slice(2)
if (released === undefined || now === undefined) throw new Error('Usage: check-openapi.ts RELEASED NOW')
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'))
const found = breakingChanges(read(released), read(now)).filter((line) => ACCEPTED[line] === undefined)
for (const line of found) process.stderr.write(`${line}\n`)
if (found.length > 0) {
  process.stderr.write(`${found.length} changes break a client of ${released}\n`)
  process.exitCode = 1
}
