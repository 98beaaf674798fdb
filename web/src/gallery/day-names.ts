/** The days of the gallery as headings. */
import { localeOf } from '../words/formats.ts'
import { language } from '../words/words.ts'

const kept = new Map<string, Intl.DateTimeFormat>()

/** "Tue, 14 Jul", with the year if it is not this one. `day` is `2026-07-14`. */
export function shortDay(day: string): string {
  const locale = localeOf(language.value, navigator.languages)
  const isThisYear = day.startsWith(`${new Date().getFullYear()}-`)
  const key = `${locale} ${isThisYear}`
  const known = kept.get(key)
  const format = known ?? new Intl.DateTimeFormat(locale, optionsFor(isThisYear))
  if (!known) kept.set(key, format)
  return format.format(new Date(`${day}T00:00Z`))
}

function optionsFor(isThisYear: boolean): Intl.DateTimeFormatOptions {
  const common = { day: 'numeric', month: 'short', timeZone: 'UTC' } as const
  return isThisYear ? { weekday: 'short', ...common } : { ...common, year: 'numeric' }
}
