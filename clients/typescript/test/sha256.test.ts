import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { base64OfHex, disposition, hexOf, reprDigest, sha256In } from '../src/encoding.ts'
import { sha256 } from '../src/sha256.ts'

const hex = (...pieces: Uint8Array[]) => {
  const hash = sha256()
  for (const piece of pieces) hash.update(piece)
  return hexOf(hash.digest())
}
const ascii = (text: string) => new TextEncoder().encode(text)

describe('SHA-256', () => {
  // The examples of NIST for FIPS 180-4.
  it.each([
    ['nothing', '', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['24 bits', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      '448 bits',
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    [
      '896 bits',
      'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
      'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1',
    ],
    ['a million times a', 'a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
  ])('of %s is the one of NIST', (_what, text, digest) => {
    expect(hex(ascii(text))).toBe(digest)
  })

  it('does not depend on the pieces, for every length around a block', () => {
    for (let length = 0; length < 200; length += 1) {
      const bytes = randomBytes(length)
      const cut = Math.floor(length / 3)
      const expected = createHash('sha256').update(bytes).digest('hex')
      expect(hex(bytes.subarray(0, cut), bytes.subarray(cut, cut + 1), bytes.subarray(cut + 1))).toBe(expected)
    }
  })
})

describe('a digest as text', () => {
  it('is the base64 of the platform', () => {
    for (let length = 0; length < 40; length += 1) {
      const bytes = randomBytes(length)
      expect(base64OfHex(bytes.toString('hex'))).toBe(bytes.toString('base64'))
    }
  })

  it('survives a Repr-Digest', () => {
    const digest = randomBytes(32).toString('hex')
    expect(sha256In(`sha-512=:AAAA:, ${reprDigest(digest)}`)).toBe(digest)
  })

  it.each([null, '', 'sha-512=:AAAA:', 'sha-256=AAAA'])('is none in %j', (field) => {
    expect(sha256In(field)).toBe(null)
  })
})

it('a name of any characters is one parameter', () => {
  expect(disposition(`été (1)'*.jpg`)).toBe(`attachment; filename*=UTF-8''%C3%A9t%C3%A9%20%281%29%27%2A.jpg`)
})
