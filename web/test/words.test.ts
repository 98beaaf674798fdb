/** The parts of the pages around the gallery that need no browser. */
import type { ActivityEvent } from '@minikeepsafe/client'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { KINDS } from '../../src/schemas/activity.ts'
import { words as german } from '../src/words/de.ts'
import { words as english } from '../src/words/en.ts'

beforeAll(() => {
  vi.stubGlobal('navigator', { languages: ['en-GB'] })
  return () => vi.unstubAllGlobals()
})

const { isAlert, sentenceOf } = await import('../src/state/activity.ts')
const { nameOfUserAgent } = await import('../src/state/device-name.ts')

const anEvent = (changes: Partial<ActivityEvent> = {}): ActivityEvent => ({
  ...{ id: 'id', kind: 'sign-in', at: '2026-11-22T08:30:00.000Z', address: '192.0.2.7', userAgent: 'curl/8' },
  ...{ sessionId: 's', deviceId: '~k3J_x9Qa', deviceName: 'Phone', fileId: null, count: 1 },
  ...changes,
})

describe('the activity in words', () => {
  it.each(Object.keys(KINDS))('has a sentence for %s', (kind) => {
    expect(sentenceOf(anEvent({ kind }))).not.toMatch(/Something else|undefined/)
  })

  it('shows what a newer server knows', () => {
    expect(sentenceOf(anEvent({ kind: 'share-opened', count: 2 }))).toBe('Something else: share-opened, 2 times')
  })

  it('counts', () => {
    expect(sentenceOf(anEvent({ kind: 'file-deleted', count: 1200 }))).toBe('1,200 files moved to the trash')
    expect(sentenceOf(anEvent({ kind: 'wrong-pin' }))).toBe('A wrong PIN was entered, once')
  })

  it('warns of what a stranger does, and not of what this device did', () => {
    const kinds = Object.keys(KINDS)
    const ofOthers = kinds.filter((kind) => isAlert(anEvent({ kind })))
    expect(ofOthers).toEqual(['new-device', 'wrong-pin', 'locked', 'export', 'damaged-read'])
    expect(kinds.filter((kind) => isAlert(anEvent({ kind, deviceId: 'app-1234' })))).toEqual(['locked', 'damaged-read'])
    expect(isAlert(anEvent({ kind: 'pin-issued', address: '', userAgent: '' }))).toBe(true)
  })
})

it.each([
  ['Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36', 'Chrome on Android'],
  [
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1',
    'Safari on iPhone',
  ],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Mobile Safari/604.1', 'Chrome on iPhone'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0', 'Edge on Windows'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15', 'Safari on Mac'],
  ['curl/8.5.0', null],
])('calls a device by its User-Agent: %s', (userAgent, name) => {
  expect(nameOfUserAgent(userAgent)).toBe(name)
})

it('has the same texts in each language', () => {
  const shapeOf = (section: object, path = ''): string[] =>
    Object.entries(section).flatMap(([key, value]) =>
      typeof value === 'object' ? shapeOf(value, `${path}${key}.`) : [`${path}${key}: ${typeof value}`],
    )
  expect(shapeOf(german).sort()).toEqual(shapeOf(english).sort())
})
