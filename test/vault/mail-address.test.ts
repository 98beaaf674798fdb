import { expect, it } from 'vitest'
import { mailAddress, mailAddressFault } from '../../src/vault/sign-in/mail-address.ts'

it.each([
  ['Ada@Example.ORG', 'ada@example.org'],
  ['  ada@example.org\t', 'ada@example.org'],
  ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
  ['ada@BÜCHER.example', 'ada@xn--bcher-kva.example'],
  ['ada@bu\u0308cher.example', 'ada@xn--bcher-kva.example'],
  ['ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
  ['ada@例え。テスト', 'ada@xn--r8jz45g.xn--zckzah'],
  ["o'brien+photos@mail.example.co.uk", "o'brien+photos@mail.example.co.uk"],
])('keeps %j as %j', (typed, kept) => {
  expect(mailAddressFault(typed)).toBeNull()
  expect(mailAddress(typed)).toBe(kept)
})

it.each([
  ['', /a mailbox and a domain/],
  ['ada', /a mailbox and a domain/],
  ['@example.org', /a mailbox and a domain/],
  ['ada@', /a mailbox and a domain/],
  ['a da@example.org', /before the @ only/],
  ['.ada@example.org', /before the @ only/],
  ['a..b@example.org', /before the @ only/],
  ['"ada"@example.org', /before the @ only/],
  ['ädä@example.org', /before the @ only/],
  ['a@b@example.org', /before the @ only/],
  ['ada@x.org, eve@x.org', /before the @ only/],
  [`${'a'.repeat(65)}@example.org`, /64 characters before/],
  ['ada@example', /domain name with a dot/],
  ['ada@127.0.0.1', /domain name with a dot/],
  ['ada@[127.0.0.1]', /domain name with a dot/],
  ['ada@ex%61mple.org', /domain name with a dot/],
  ['ada@example.org:25', /domain name with a dot/],
  ['ada@-x.org', /domain name with a dot/],
  ['ada@x..org', /domain name with a dot/],
  ['ada@example.org\r\nBcc: eve@x.org', /before the @ only/],
  ['ada@example.org\n', /domain name with a dot/],
  [`ada@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(63)}.org`, /254 characters/],
])('refuses %j and says why', (typed, why) => {
  expect(mailAddressFault(typed)).toMatch(why)
})

// If the time grew with the square of the length, these would take a minute.
it('looks at each character of a long text a few times', () => {
  const typed = `a${' '.repeat(400_000)}b@example.org`
  expect(mailAddressFault(typed)).toMatch(/254 characters/)
  expect(mailAddress(typed)).toBe(typed)
})
