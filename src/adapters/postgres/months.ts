import type { DatedPlace, FileRepository } from '../../ports/files.ts'
import type { Database } from './database.ts'

/** Before every file. */
const TOP: DatedPlace = { key: Number.MAX_SAFE_INTEGER, id: '\u{10ffff}' }
const FIRST_MONTH = Date.parse('0000-01-01T00:00:00.000Z')
const LAST_MONTH = Date.parse('9999-12-01T00:00:00.000Z')

export function postgresMonths({ ask }: Pick<Database, 'ask'>): FileRepository['countByMonth'] {
  return async (owner, after, most) => {
    const [, ...months] = await ask<Counted>(COUNT_BY_MONTH, valuesOf(owner, after, most))
    const last = months.at(-1)
    const mayGoOn = last && (last.left === 0 || months.length === most.months)
    return {
      months: months.map(({ month, files }) => ({ month, files })),
      last: mayGoOn ? { key: last.key, id: last.id } : null,
    }
  }
}

export function valuesOf(owner: string, after: DatedPlace | null, most: { files: number; months: number }): unknown[] {
  const { key, id } = after ?? TOP
  return [owner, key, id, most.files, most.months]
}

interface Counted extends DatedPlace {
  month: number
  files: number
  /** How many files may still be counted. */
  left: number
}

const PAST =
  'files.user_id = $1 AND files.deleted_at IS NULL AND (files.dated_at, files.id) < (counted.key, counted.id)'
const IN_ORDER = 'ORDER BY files.dated_at DESC, files.id DESC'

/**
 * By seeks in the index of `sort=takenAt`: the newest file after the place, then the files of its month. Each row has one month
 * and the place after it. The first row has only the place where it begins.
 */
export const COUNT_BY_MONTH = `WITH RECURSIVE counted AS (
    SELECT NULL::bigint AS month, 0::bigint AS files, $4::bigint AS "left", $2::bigint AS key, $3::text COLLATE "C" AS id, 0 AS n
    UNION ALL
    SELECT month.start, piece.files, counted."left" - piece.files,
      CASE WHEN piece.files < counted."left" THEN month.beginning ELSE place.key END,
      CASE WHEN piece.files < counted."left" THEN '' ELSE place.id END, counted.n + 1
    FROM counted
    CROSS JOIN LATERAL (SELECT dated_at FROM files WHERE ${PAST} ${IN_ORDER} LIMIT 1) AS newest
    CROSS JOIN LATERAL (SELECT (extract(epoch FROM date_trunc('month',
      to_timestamp(greatest(least(newest.dated_at, ${LAST_MONTH}), ${FIRST_MONTH}) / 1000.0) AT TIME ZONE 'UTC'
    )) * 1000)::bigint AS start) AS calendar
    CROSS JOIN LATERAL (SELECT calendar.start,
      CASE WHEN calendar.start = ${FIRST_MONTH} THEN ${Number.MIN_SAFE_INTEGER} ELSE calendar.start END AS beginning) AS month
    CROSS JOIN LATERAL (SELECT count(*) AS files FROM (
      SELECT 1 FROM files WHERE ${PAST} AND files.dated_at >= month.beginning ${IN_ORDER} LIMIT counted."left") AS piece) AS piece
    LEFT JOIN LATERAL (SELECT files.dated_at AS key, files.id FROM files
      WHERE ${PAST} AND piece.files = counted."left" ${IN_ORDER} OFFSET piece.files - 1 LIMIT 1) AS place ON true
    WHERE counted."left" > 0 AND counted.n < $5
  )
  SELECT month, files, "left", key, id FROM counted ORDER BY n`
