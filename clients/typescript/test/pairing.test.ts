import { describe, expect, it } from 'vitest'
import { newDeviceId, pairingText, parsePairing } from '../src/index.ts'

describe('the text of a pairing picture', () => {
  it.each(['https://vault.example.org', 'http://192.168.1.20:8000', 'https://example.org/vault'])(
    'of %s is read back',
    (server) => {
      const pairing = { server, deviceId: newDeviceId(), pin: '0427' }
      expect(parsePairing(pairingText(pairing))).toEqual(pairing)
      expect(parsePairing(` ${pairingText({ ...pairing, server: `${server}/` })}\n`)).toEqual(pairing)
    },
  )

  it('may have a device id with dots', () => {
    expect(parsePairing('https://example.org/#pair=ios.1.2.3:4_5-6.0001')).toMatchObject({
      deviceId: 'ios.1.2.3:4_5-6',
      pin: '0001',
    })
  })

  it.each([
    '',
    'https://example.org',
    'https://example.org/#pair=short.1234',
    'https://example.org/#pair=long-enough.12345',
    'https://example.org/#pair=long-enough.123',
    'https://example.org/?x#pair=long-enough.1234',
    'javascript:alert(1)//#pair=long-enough.1234',
    'https://example.org/#pair=long enough.1234',
  ])('%j is none', (text) => {
    expect(() => parsePairing(text)).toThrow('invalid-pairing')
  })
})

it('a device id has 128 random bits and is one that the server takes', () => {
  const [one, other] = [newDeviceId(), newDeviceId()]
  expect(one).toMatch(/^app-[0-9a-f]{32}$/)
  expect(one).not.toBe(other)
})
