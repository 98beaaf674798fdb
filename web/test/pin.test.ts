import { expect, it } from 'vitest'
import { asPin } from '../src/state/pin.ts'

it.each([
  ['as it is', '0427'],
  ['with spaces', ' 04 27\u00a0'],
  ['in full width, as a keyboard for Japanese types it', '０４２７'],
  ['in Arabic digits', '٠٤٢٧'],
  ['in Persian digits', '۰۴۲۷'],
  ['in Hindi digits', '०४२७'],
  ['with the invisible marks that chats put around numbers', '\u2068\u200e0427\u200b\u2069'],
])('a PIN may be typed %s', (_how, typed) => {
  expect(asPin(typed)).toBe('0427')
})

it.each(['ABCD EFGH IJKL M234', 'abcd-efgh-ijkl-m234', 'ABCD–EFGH–IJKL–M234', 'ＡＢＣＤEFGHIJKLM２34'])(
  'a code may be typed as %j',
  (typed) => {
    expect(asPin(typed)).toBe('ABCDEFGHIJKLM234')
  },
)

it.each(['', '042', '04271', '042x', '0427.', 'ABCDEFGHIJKLM231'])('%j is none', (typed) => {
  expect(asPin(typed)).toBeNull()
})
