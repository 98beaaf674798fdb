import type { StoredFile } from '@minikeepsafe/client'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { openStrip, START } from '../src/viewer/strip.ts'

// The dates are written in the language of the browser.
beforeAll(() => {
  vi.stubGlobal('navigator', { languages: ['en-GB'] })
  return () => vi.unstubAllGlobals()
})

const { fieldsOf, takenAtFrom, takenInShort, takenText } = await import('../src/viewer/dates.ts')

const fileOf = (id: string, contentType = 'image/jpeg') => ({ id, name: id, contentType }) as StoredFile

/** A gallery of these files, and what was asked of it. */
function galleryOf(files: StoredFile[]) {
  const asked: string[] = []
  const at = (file: StoredFile, step: number) => {
    asked.push(`${step}${file.id}`)
    return Promise.resolve(files[files.findIndex(({ id }) => id === file.id) + step] ?? null)
  }
  return { asked, neighbours: { before: (file: StoredFile) => at(file, -1), after: (file: StoredFile) => at(file, 1) } }
}

const prepare = async () => {}
const ids = (strip: ReturnType<typeof openStrip>) =>
  [-3, -2, -1, 0, 1, 2, 3].map((step) => strip.at(START + step)?.id ?? '')

describe('the files around the one that is shown', () => {
  const letters = [...'abcdefg'].map((id) => fileOf(id))

  it('become known two ahead on each side, and keep their places', async () => {
    const { neighbours } = galleryOf(letters)
    const grown: number[] = []
    const strip = openStrip(letters[2] as StoredFile, neighbours, { prepare, onGrown: (at) => grown.push(at - START) })
    await strip.look(START)
    expect(ids(strip)).toEqual(['', 'a', 'b', 'c', 'd', 'e', ''])
    await strip.look(START + 1)
    expect(ids(strip)).toEqual(['', 'a', 'b', 'c', 'd', 'e', 'f'])
    expect([strip.first(), strip.last(), grown.toSorted((a, b) => a - b)]).toEqual([
      ...[START - 2, START + 3],
      [-2, -1, 1, 2, 3],
    ])
  })

  it('are only what can be shown', async () => {
    const mixed = [fileOf('a'), fileOf('note', 'text/plain'), fileOf('page', 'image/svg+xml'), fileOf('b', 'video/mp4')]
    const strip = openStrip(mixed[0] as StoredFile, galleryOf(mixed).neighbours, { prepare, onGrown: () => {} })
    await strip.look(START)
    expect(ids(strip)).toEqual(['', '', '', 'a', 'b', '', ''])
  })

  it('are asked for again after an error, and an answer that is too late is void', async () => {
    const { neighbours } = galleryOf(letters)
    let isBroken = true
    const after = (file: StoredFile) => (isBroken ? Promise.reject(new Error()) : neighbours.after(file))
    const strip = openStrip(letters[0] as StoredFile, { ...neighbours, after }, { prepare, onGrown: () => {} })
    await strip.look(START)
    expect(ids(strip)).toEqual(['', '', '', 'a', '', '', ''])
    isBroken = false
    const late = strip.look(START)
    strip.begin(START, letters[5] as StoredFile)
    await late
    await strip.look(START)
    expect(ids(strip)).toEqual(['', 'd', 'e', 'f', 'g', '', ''])
  })
})

describe('the date that the user changes', () => {
  it('keeps the offset of the camera', () => {
    const { local, offset } = fieldsOf('2026-07-14T12:30:05.000+05:30')
    expect([local, offset]).toEqual(['2026-07-14T12:30:05', '+05:30'])
    expect(takenAtFrom('2026-07-15T12:30', offset)).toBe('2026-07-15T12:30:00+05:30')
    expect(fieldsOf('2026-07-14T12:30:05.000Z').offset).toBe('+00:00')
  })

  it('gets the offset of the browser where there was none', () => {
    const { local, offset } = fieldsOf(null)
    const taken = takenAtFrom('2026-07-15T12:30:10', offset)
    expect([local, Date.parse(taken)]).toEqual(['', new Date('2026-07-15T12:30:10').getTime()])
  })

  it('is shown as the clock of the camera said', () => {
    const file = { takenAt: '2026-07-14T23:30:05.000+12:00', createdAt: '2026-07-20T10:00:00.000Z' }
    expect(takenText(file)).toMatch(/^Tuesday,? 14 July 2026, 23:30$/)
    expect(takenInShort({ ...file, takenAt: '2019-07-14T23:30:05.000+12:00' })).toBe('14 Jul 2019, 23:30')
  })

  it('is shown so also in the hour that summer time leaves out here', () => {
    vi.stubEnv('TZ', 'Europe/Berlin')
    onTestFinished(() => void vi.unstubAllEnvs())
    const file = { takenAt: '2026-03-29T02:30:05.000-04:00', createdAt: '2026-07-20T10:00:00.000Z' }
    expect(takenText(file)).toMatch(/^Sunday,? 29 March 2026, 02:30$/)
    expect(takenText({ ...file, takenAt: null })).toMatch(/^Monday,? 20 July 2026, 12:00$/)
  })
})
