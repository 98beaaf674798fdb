/** Counts a user's files by month, by seeks in the index of `sort=takenAt`. */
import type { Database } from 'better-sqlite3'
import type { CountedMonths, DatedPlace, FileRepository } from '../../ports/files.ts'

const FIRST_MONTH = startOf('0000-01')
const LAST_MONTH = startOf('9999-12')
/** Before every file. */
const TOP: DatedPlace = { key: Number.MAX_SAFE_INTEGER, id: '\u{10ffff}' }

const AFTER = 'user_id = :owner AND deleted_at IS NULL AND (dated_at, id) < (:key, :id)'
const IN_ORDER = 'ORDER BY dated_at DESC, id DESC'

export const newestSql = `SELECT dated_at FROM files WHERE ${AFTER} ${IN_ORDER} LIMIT 1`
export const countSql = `SELECT count(*) FROM (
  SELECT 1 FROM files WHERE ${AFTER} AND dated_at >= :from ${IN_ORDER} LIMIT :most)`
export const placeSql = `SELECT dated_at AS key, id FROM files WHERE ${AFTER} ${IN_ORDER} LIMIT 1 OFFSET :most - 1`

type Values = DatedPlace & { owner: string }

export function sqliteMonths(db: Database): FileRepository['countByMonth'] {
  const newest = db.prepare<[Values], number>(newestSql).pluck()
  const count = db.prepare<[Values & { from: number; most: number }], number>(countSql).pluck()
  const place = db.prepare<[Values & { most: number }], DatedPlace>(placeSql)

  return async (owner, after, most) => {
    const months: CountedMonths['months'] = []
    let at = after ?? TOP
    for (let left = most.files; left > 0 && months.length < most.months; ) {
      const instant = newest.get({ owner, ...at })
      if (instant === undefined) return { months, last: null }
      const month = monthOf(instant)
      const from = month === FIRST_MONTH ? Number.MIN_SAFE_INTEGER : month
      const files = count.get({ owner, ...at, from, most: left }) as number
      months.push({ month, files })
      at = files < left ? { key: from, id: '' } : (place.get({ owner, ...at, most: left }) as DatedPlace)
      left -= files
    }
    return { months, last: at }
  }
}

function monthOf(instant: number): number {
  const month = new Date(Math.min(Math.max(instant, FIRST_MONTH), LAST_MONTH))
  month.setUTCDate(1)
  return month.setUTCHours(0, 0, 0, 0)
}

function startOf(month: string): number {
  return Date.parse(`${month}-01T00:00:00.000Z`)
}
