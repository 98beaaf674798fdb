/** What arrives on a socket and was never meant to be one good request. */
import type { Dice } from './chance.ts'

/** `sent` are valid requests, each to be followed by another on the same connection. */
type Noise = (dice: Dice, sent: Buffer[]) => Buffer

export const NOISES: Readonly<Record<string, Noise>> = {
  garbage: (dice) => dice.bytes(1 + dice.below(500)),
  'a TLS hello': () => Buffer.from('16030100c8010000c40303', 'hex'),
  'an HTTP/2 preface': () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  'empty lines': () => Buffer.from('\r\n\r\n\r\n\r\n'),
  'half a request': (dice, [first]) => first?.subarray(0, dice.below(first.length)) ?? Buffer.alloc(0),
  'flipped bytes': (dice, [first]) => flipped(first ?? Buffer.alloc(0), dice),
  'flipped bytes of several': (dice, sent) => flipped(Buffer.concat(sent), dice),
  'many header fields': (dice) => headWith('X-Field: value\r\n'.repeat(dice.pick([100, 999, 3000]))),
  'a huge header field': (dice) => headWith(`X-Long: ${'x'.repeat(dice.pick([8000, 16_000, 100_000]))}\r\n`),
  'a header field without a colon': () => headWith('nonsense\r\n'),
  'a folded header field': () => headWith('X-A: b\r\n c\r\n'),
  'a space before a colon': () => headWith('Host : x\r\n'),
  'bare line feeds': () => Buffer.from('GET /health/live HTTP/1.1\nHost: x\n\n'),
  'two lengths': () => headWith('Content-Length: 1\r\nContent-Length: 2\r\n', 'POST /v1/users'),
  'a length and chunks': () =>
    Buffer.concat([
      headWith('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', 'POST /v1/users'),
      Buffer.from('0\r\n\r\n'),
    ]),
  'chunks that are none': () =>
    Buffer.concat([headWith('Transfer-Encoding: chunked\r\n', 'POST /v1/users'), Buffer.from('zz\r\n{}\r\n')]),
  'a chunk of 2^64 bytes': () =>
    Buffer.concat([
      headWith('Transfer-Encoding: chunked\r\n', 'POST /v1/users'),
      Buffer.from('ffffffffffffffffff\r\n{}'),
    ]),
  'another version': (dice) => Buffer.from(`GET / HTTP/${dice.pick(['0.9', '1.0', '1.2', '2.0', '9.9', 'x'])}\r\n\r\n`),
  'a target of 20 KiB': () => Buffer.from(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
  'a strange target': (dice) => {
    const target = dice.pick([
      '*',
      '//',
      '/\\',
      '/%',
      '?',
      '#',
      'x',
      'http://',
      'http:///v1',
      '/a b',
      '/\0',
      '/\xff',
      '/..',
      ':80',
    ])
    const method = dice.pick(['GET', 'OPTIONS', 'CONNECT', 'DELETE'])
    return Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1')
  },
}

/** Without what would be a request of its own: each byte that is changed stays in the place where it was. */
function flipped(bytes: Buffer, dice: Dice): Buffer {
  const copy = Buffer.from(bytes)
  const times = 1 + dice.below(3)
  for (let n = 0; n < times && copy.length > 0; n += 1) copy[dice.below(copy.length)] = dice.below(256)
  return copy
}

function headWith(fields: string, line = 'GET /health/live'): Buffer {
  return Buffer.from(`${line} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)
}
