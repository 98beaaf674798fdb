/** The months on the track of the scrubber. */
import type { Section } from './sections.ts'

export interface Mark {
  /** `2026-07`. */
  month: string
  files: number
  /** The share of the files (0 to 1) that are newer than the month. */
  from: number
  /** Its year is written beside it. */
  isYear: boolean
}

/** The least distance of two years, as a share of the track. */
const YEARS_APART = 0.035

export function marksOf(sections: readonly Pick<Section, 'month' | 'count'>[]): Mark[] {
  const all = sections.reduce((sum, { count }) => sum + count, 0)
  const marks: Mark[] = []
  let above = 0
  let lastYear = Number.NEGATIVE_INFINITY
  for (const { month, count } of sections) {
    if (month === '') return []
    const last = marks.at(-1)
    if (last?.month === month) last.files += count
    else {
      const from = above / all
      const isYear = last?.month.slice(0, 4) !== month.slice(0, 4) && from - lastYear >= YEARS_APART
      if (isYear) lastYear = from
      marks.push({ month, files: count, from, isYear })
    }
    above += count
  }
  return marks
}

export function monthAt(marks: readonly Mark[], share: number): number {
  const next = marks.findIndex(({ from }) => from > share + 1e-6)
  return next < 0 ? marks.length - 1 : Math.max(0, next - 1)
}
