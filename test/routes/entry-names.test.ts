import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryNames } from '../../src/http/zip/entry-names.ts'

/** What the reference of Python's `os.path.isreserved` says, and what Windows has no characters for. */
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]) *(\..*)?$/i
const isPortable = (name: string) => !RESERVED.test(name) && !/[<>:"|?*\\/\p{Cc}]|[. ]$/u.test(name)

describe('names in a zip', () => {
  it.each([
    'beach.jpg',
    'Ünïcode 日本語 🏖.jpg',
    '.hidden',
    'a..b',
    ' leading',
    'CONTROL',
    'com10',
    'console.log',
    'Aux Cord.jpg',
    'x'.repeat(255),
  ])('stay as they are where nothing is against it: %j', (name) => {
    expect(entryNames().nameFor(name)).toBe(name)
  })

  it.each([
    ['what?.txt', 'what_.txt'],
    ['q"uote.jpg', 'q_uote.jpg'],
    ['<script>.jpg', '_script_.jpg'],
    ['a:b.jpg', 'a_b.jpg'],
    ['CON', '_CON'],
    ['AUX.jpg', '_AUX.jpg'],
    ['nul.tar.gz', '_nul.tar.gz'],
    ['COM¹.txt', '_COM¹.txt'],
    ['lpt9 .txt', '_lpt9 .txt'],
    ['conin$', '_conin$'],
    ['CON.', 'CON_'],
    ['trail.', 'trail_'],
    ['trail ', 'trail_'],
    ['...', '___'],
    ['a. .', 'a___'],
    ['a|b*c?.jpg', 'a_b_c_.jpg'],
    [`CON.${'x'.repeat(251)}`, `_ON.${'x'.repeat(251)}`],
  ])('become such that Windows takes: %j', (name, expected) => {
    expect(entryNames().nameFor(name)).toBe(expected)
  })

  it.each([
    [
      ['IMG_0001.JPG', 'img_0001.jpg', 'Img_0001.jpg'],
      ['IMG_0001.JPG', 'img_0001 (1).jpg', 'Img_0001 (2).jpg'],
    ],
    [
      ['É.jpg', 'é.jpg', 'e\u0301.jpg'],
      ['É.jpg', 'é (1).jpg', 'e\u0301 (2).jpg'],
    ],
    [
      ['straße', 'STRASSE', 'STRAẞE'],
      ['straße', 'STRASSE (1)', 'STRAẞE (2)'],
    ],
    [
      ['ΣΑΣ', 'σας', 'σασ'],
      ['ΣΑΣ', 'σας (1)', 'σασ (2)'],
    ],
    [
      ['a\u200db', 'ab'],
      ['a\u200db', 'ab (1)'],
    ],
    [
      ['trail.', 'trail '],
      ['trail_', 'trail_ (1)'],
    ],
    [
      ['a.jpg', 'a (1).jpg', 'A.jpg', 'A (1).jpg'],
      ['a.jpg', 'a (1).jpg', 'A (2).jpg', 'A (1) (1).jpg'],
    ],
  ])('differ by more than case and normal form: %j', (names, expected) => {
    expect(names.map(entryNames().nameFor)).toEqual(expected)
  })

  const character = fc.constantFrom(...'aAéÉßẞsS:?. |<N', 'e\u0301', '🏖', 'K', 'K', 'x'.repeat(60), 'X'.repeat(60))
  const anyName = fc
    .oneof(fc.string({ unit: character, minLength: 1, maxLength: 9 }), fc.constantFrom('con', 'CON', 'NUL.x', 'nul.X'))
    .filter((name) => Buffer.byteLength(name) <= 255)

  it('can be unpacked on every system, whatever the files are called', () => {
    fc.assert(
      fc.property(fc.array(anyName, { maxLength: 40 }), (names) => {
        const found = names.map(entryNames().nameFor)
        for (const name of found) expect([isPortable(name), Buffer.byteLength(name) <= 255]).toEqual([true, true])
        for (const form of ['NFC', 'NFD'] as const) {
          expect(new Set(found.map((name) => name.toLowerCase().normalize(form))).size).toBe(names.length)
          expect(new Set(found.map((name) => name.toUpperCase().normalize(form))).size).toBe(names.length)
        }
      }),
    )
  })

  it('are kept exactly where `keeps` says so', () => {
    fc.assert(
      fc.property(fc.array(anyName, { maxLength: 40 }), (names) => {
        const { keeps, nameFor } = entryNames()
        for (const name of names) expect(keeps(name)).toBe(nameFor(name) === name)
      }),
    )
  })

  it('are found in a few steps, however many numbers are taken', () => {
    const { nameFor } = entryNames()
    for (let n = 1; n <= 100; n += 1) expect(nameFor(`a (${n}).jpg`)).toBe(`a (${n}).jpg`)
    const [first, second] = [nameFor('A.jpg'), nameFor('a.jpg')]
    expect(first).toBe('A.jpg')
    expect(second).toMatch(/^a \(\d{1,9}\)\.jpg$/)
    // The next number in order would take as many steps as there are files.
    expect(second).not.toBe('a (101).jpg')
  })

  it('are tried once each, however many are alike', () => {
    const count = 20_000
    const { nameFor } = entryNames()
    const long = 'x'.repeat(240)
    const found = new Set<string>()
    for (let n = 0; n < count; n += 1) found.add(nameFor(n % 2 ? 'same?' : `${long}${n % 1000}`).toLowerCase())
    expect(found.size).toBe(count)
  })
})
