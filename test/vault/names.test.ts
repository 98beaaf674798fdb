import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { fileName, numberedName, numberedPrefix, numberIn, typeOfName } from '../../src/vault/files/names.ts'
import { deviceNameFault } from '../../src/vault/sign-in/device-name.ts'

describe('a file name', () => {
  it.each([
    'a',
    'beach.jpg',
    '.hidden',
    '...',
    ' ',
    'IMG_1 (1).jpg',
    'Ünïcode 日本語 🏖.jpg',
    'a'.repeat(255),
    'é'.repeat(127),
  ])('can be %j', (name) => {
    expect(fileName(name)).toBe(name)
  })

  it.each([
    '',
    '.',
    '..',
    'a/b',
    '/etc/passwd',
    '..\\secret',
    'nul\0',
    'line\nbreak',
    'delete\x7f',
    'c1\x85',
    '\ud800',
    'a'.repeat(256),
    'é'.repeat(128),
  ])('cannot be %j', (name) => {
    expect(() => fileName(name)).toThrow(expect.objectContaining({ code: 'invalid-name' }))
  })
})

it('a file name that is far too long is not converted', () => {
  const normalize = vi.spyOn(String.prototype, 'normalize')
  onTestFinished(() => normalize.mockRestore())
  expect(() => fileName('a'.repeat(1021))).toThrow(expect.objectContaining({ code: 'invalid-name' }))
  expect(deviceNameFault('a'.repeat(481))).toMatch(/^must be 1 to 60 characters/)
  expect(normalize).not.toHaveBeenCalled()
})

it('a file name is answered in NFC, and has 255 bytes there', () => {
  // The most bytes and the most units of UTF-16 that become one character.
  const longest = '\u1fbe\u0308\u0301'
  expect(fileName(longest.repeat(127))).toBe('\u0390'.repeat(127))
  expect(deviceNameFault('\ud834\udd58\ud834\udd65\ud834\udd6e'.repeat(20))).toBeNull()
  expect(fileName('U\u0308bung.jpg')).toBe('Übung.jpg')
  expect(fileName('U\u0308'.repeat(127))).toBe('Ü'.repeat(127))
})

describe('a numbered name', () => {
  it.each([
    ['IMG_1.jpg', 1, 'IMG_1 (1).jpg'],
    ['archive.tar.gz', 12, 'archive.tar (12).gz'],
    ['.bashrc', 2, '.bashrc (2)'],
    ['README', 3, 'README (3)'],
    ['IMG (1).jpg', 1, 'IMG (1) (1).jpg'],
    [`${'x'.repeat(251)}.jpg`, 1, `${'x'.repeat(247)} (1).jpg`],
    [`a.${'x'.repeat(253)}`, 1, `a.${'x'.repeat(249)} (1)`],
  ])('of %j with %i is %j', (name, n, numbered) => {
    expect(numberedName(name, n)).toBe(numbered)
  })

  const anyName = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }).map((text) => {
    const clean = text.normalize('NFC').replace(/[\p{Cc}\p{Cs}/\\]/gu, '_')
    let name = ''
    for (const character of clean) if (Buffer.byteLength(name + character) <= 255) name += character
    return name === '.' || name === '..' || name === '' ? 'x' : name.normalize('NFC')
  })
  const bracketed = fc.string({
    unit: fc.constantFrom(' ', '(', ')', '.', '1', '2', 'a', 'x'.repeat(60)),
    minLength: 1,
    maxLength: 12,
  })
  const awkwardName = bracketed.map((text) => (text === '.' || text === '..' ? 'x' : text.slice(0, 255)))
  const anyNumber = fc.integer({ min: 1, max: 999_999_999 })

  it('is a file name, of which the number can be read again', () => {
    fc.assert(
      fc.property(fc.oneof(anyName, awkwardName), anyNumber, (name, n) => {
        const numbered = numberedName(name, n)
        expect(fileName(numbered)).toBe(numbered)
        expect(numberIn(name, numbered)).toBe(n)
        expect(numbered.startsWith(numberedPrefix(name))).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    'IMG_1.jpg',
    'IMG_1 (0).jpg',
    'IMG_1 (01).jpg',
    'IMG_1 (x).jpg',
    'IMG_1 (1).png',
    'IMG_1(1).jpg',
    'IMG_1 (1) .jpg',
  ])('of IMG_1.jpg is not %j', (candidate) => {
    expect(numberIn('IMG_1.jpg', candidate)).toBeNull()
  })
})

describe('the type of a name', () => {
  it.each([
    ['beach.jpg', 'image/jpeg'],
    ['BEACH.HEIC', 'image/heic'],
    ['a.jpg.unknown', 'application/octet-stream'],
    ['html', 'application/octet-stream'],
    ['.jpg', 'application/octet-stream'],
    ['dot.', 'application/octet-stream'],
  ])('%s is %s', async (name, type) => {
    expect(await typeOfName(name)).toBe(type)
  })
})
