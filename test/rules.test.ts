import { expect, it } from 'vitest'
import { rulesOf } from '../src/compose/rules.ts'
import { readConfig } from '../src/config/config.ts'

it.for(['0.041666667', '0.3333333', '0.000000001'])(
  'the time of every setting is whole milliseconds, with %s',
  (time) => {
    const names = [
      'TRASH_DAYS',
      'ACTIVITY_DAYS',
      'CHANGES_DAYS',
      'UPLOAD_EXPIRY_HOURS',
      'SESSION_TTL_DAYS',
      'SESSION_MAX_DAYS',
    ]
    const rules = rulesOf(readConfig(Object.fromEntries(names.map((name) => [name, time]))))
    const times = Object.entries(rules).filter(([name]) => name.endsWith('Ms') && name !== 'asideMs')
    expect(times.filter(([, ms]) => !Number.isSafeInteger(ms) || ms < 1)).toEqual([])
    expect(times.length).toBeGreaterThanOrEqual(names.length)
  },
)

it('0 stays 0', () => {
  expect(rulesOf(readConfig({ TRASH_DAYS: '0', ACTIVITY_DAYS: '0' }))).toMatchObject({ trashMs: 0, activityMs: 0 })
})
