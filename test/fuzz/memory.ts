/** What earlier answers told, to be used in later requests: names, ids, cursors, PINs with their devices, validators. */
import type { Answer } from './line.ts'

type Told = Record<string, unknown>

export interface Memory {
  learn(answer: Answer): void
  remember(record: Told): void
  /** Records that have all of these members as text or numbers, the latest last. */
  records(members: string[]): Told[]
  /** Keeps a value as if an answer had had it in this header field. */
  note(name: string, value: string): void
  /** Values that answers had in this header field. */
  fields(name: string): string[]
}

const MOST = 60

export function memory(): Memory {
  const known: Told[] = []
  const seen = new Map<string, string[]>()

  function remember(record: Told) {
    known.push(record)
    if (known.length > MOST) known.shift()
  }

  function learnFrom(value: unknown) {
    if (Array.isArray(value)) return void value.slice(0, 10).map(learnFrom)
    if (typeof value !== 'object' || value === null) return
    remember(value as Told)
    Object.values(value).map(learnFrom)
  }

  function note(name: string, value: string) {
    seen.set(name, [...(seen.get(name) ?? []).slice(-MOST), value])
  }

  return {
    remember,
    note,
    learn({ status, headers, body }) {
      for (const name of ['etag', 'last-modified', 'repr-digest', 'location']) {
        const value = headers[name]
        if (value !== undefined) note(name, value)
      }
      if (status < 300 && headers['content-type']?.startsWith('application/json')) learnFrom(jsonOf(body))
    },
    records: (members) =>
      known.filter((record) => members.every((member) => ['string', 'number'].includes(typeof record[member]))),
    fields: (name) => seen.get(name) ?? [],
  }
}

/** `undefined` where it is no JSON. */
export function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}
