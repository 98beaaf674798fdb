import { beforeAll, describe, expect, it, vi } from 'vitest'

const MINUTE = 60_000

// The browser's languages: the page reads them when it formats.
beforeAll(() => {
  vi.stubGlobal('navigator', { languages: ['fr', 'en-GB', 'de-AT'] })
  return () => vi.unstubAllGlobals()
})

const formats = await import('../src/words/formats.ts')
const { language, languages } = await import('../src/words/words.ts')

describe('formats of English', () => {
  it('writes sizes in thousands, with one decimal where it says something', () => {
    const sizes = [0, 1, 999, 1000, 34_567, 999_499, 999_951, 3_210_000_000, 10_737_418_240, 5e15]
    expect(sizes.map(formats.formatBytes)).toEqual([
      ...['0 bytes', '1 byte', '999 bytes', '1 kB', '35 kB', '999 kB', '1 MB'],
      ...['3.2 GB', '10.7 GB', '5,000 TB'],
    ])
  })

  it('says today and yesterday by the calendar of this place', () => {
    const now = new Date(2026, 6, 14, 0, 30).getTime()
    expect(formats.formatWhen(new Date(2026, 6, 14, 0, 5), now)).toBe('today, 00:05')
    expect(formats.formatWhen(new Date(2026, 6, 13, 23, 5), now)).toBe('yesterday, 23:05')
    expect(formats.formatWhen(new Date(2026, 6, 12, 23, 5), now)).toBe('12 Jul 2026, 23:05')
  })

  it('writes days and months of the calendar without a time zone', () => {
    expect(formats.formatDay('2026-07-14')).toBe('Tuesday, 14 July 2026')
    expect(formats.formatMonth('2026-07')).toBe('July 2026')
  })

  it('says a duration in the largest unit that says enough', () => {
    const durations = [29.4 * 86_400_000, 47.4 * 3_600_000, 100_000, MINUTE, 45_000, -5]
    expect(durations.map(formats.formatDuration)).toEqual([
      '29 days',
      '47 hours',
      '2 minutes',
      '1 minute',
      '45 seconds',
      '0 seconds',
    ])
    expect(formats.formatIn(29.4 * 86_400_000)).toBe('in 29 days')
  })

  it('counts down', () => {
    expect([299_001, 5_000, 0, -1, 3_725_000].map(formats.formatCountdown)).toEqual([
      '5:00',
      '0:05',
      '0:00',
      '0:00',
      '1:02:05',
    ])
  })
})

it('follows the language of the page', () => {
  language.value = 'de'
  expect(formats.formatBytes(3_210_000_000)).toMatch(/^3,2\sGB$/)
  expect(formats.formatNumber(12_345)).toMatch(/^12.345$/)
  expect(formats.formatIn(3 * 86_400_000)).toBe('in 3 Tagen')
  expect(formats.formatWhen(Date.now())).toMatch(/^heute, \d\d:\d\d$/)
  language.value = 'en'
})

it('takes files of the folder for languages only if they are', () => {
  expect(languages).toEqual(['en', 'de'])
})
