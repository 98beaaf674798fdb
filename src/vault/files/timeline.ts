/** The live files counted by month, so that a gallery knows where each month lies before it loads it. */
import type { CountedMonths, DatedPlace } from '../../ports/files.ts'
import type { Needs } from '../context.ts'

/** The most files, and the most months, that one piece of work counts. A piece takes a few milliseconds; other requests wait for it. */
const FILES = 5000
const MONTHS = 200

export interface CountedMonth {
  /** Its first instant in UTC. */
  month: number
  files: number
  /** The place in the list by `takenAt`, the newest first, after which the month begins. */
  begins: DatedPlace
}

export interface Timeline {
  /**
   * At most `limit` months that have live files, the newest first, from this place on (`null`: from the newest file). `next` is the
   * place of the next month, `null` after the last one. Files that change meanwhile may be counted once, twice or not.
   */
  read(
    owner: string,
    after: DatedPlace | null,
    limit: number,
  ): Promise<{ months: CountedMonth[]; next: DatedPlace | null }>
}

export function openTimeline({ ports: { files }, turns }: Needs<'files', 'turns'>): Timeline {
  return {
    async read(owner, after, limit) {
      const months: CountedMonths['months'] = []
      // One month more than `limit`: only then the last month is complete.
      for (let at = after; months.length <= limit; ) {
        await turns.next(owner)
        const most = { files: FILES, months: Math.min(MONTHS, limit + 1 - months.length) }
        const piece = await files.countByMonth(owner, at, most)
        for (const { month, files } of piece.months) {
          const last = months.at(-1)
          if (last?.month === month) last.files += files
          else months.push({ month, files })
        }
        at = piece.last
        if (at === null) break
      }
      const page = months.slice(0, limit).map((month) => ({ ...month, begins: endOf(month.month) }))
      const beyond = months[limit]
      return { months: page, next: beyond ? endOf(beyond.month) : null }
    },
  }
}

/** Less than each id of a file. */
const LEAST_ID = '-'
/** Its last month in the calendar also has all later instants. */
const LAST_YEAR = 9999

/** The place between the files of a month and those of the month after it. */
function endOf(month: number): DatedPlace {
  const next = new Date(month)
  next.setUTCMonth(next.getUTCMonth() + 1)
  return { key: next.getUTCFullYear() > LAST_YEAR ? Number.MAX_SAFE_INTEGER : next.getTime(), id: LEAST_ID }
}
