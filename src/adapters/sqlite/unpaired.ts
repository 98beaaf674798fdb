import type { Database } from 'better-sqlite3'

/** A control character: no stored name contains one. */
const NONE = '\u0001'
const CALLS = ['run', 'get', 'all', 'iterate'] as const

type Call = (...values: unknown[]) => unknown

/**
 * On Node 24 and newer the driver binds half of a surrogate pair as U+FFFD, which a name may contain. No stored text has a half, so
 * a query for one must find nothing.
 */
export function keepUnpairedApart(db: Database): void {
  const prepare = db.prepare.bind(db)
  db.prepare = ((sql: string) => {
    const statement = prepare(sql)
    const calls = statement as unknown as Record<string, Call>
    for (const name of CALLS) {
      const call = statement[name].bind(statement) as Call
      calls[name] = (...values) => call(...values.map(paired))
    }
    return statement
  }) as typeof db.prepare
}

function paired(value: unknown): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : value.replaceAll(/\p{Cs}/gu, NONE)
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return value
  for (const part of Object.values(value)) {
    if (typeof part === 'string' && !part.isWellFormed()) {
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, paired(part)]))
    }
  }
  return value
}
