import { expect, it } from 'vitest'
import { openNetworks } from '../../src/vault/networks.ts'

it('knows the latest network of the users who came last, and takes any other user for a network alone', () => {
  const networks = openNetworks()
  networks.note('ana', '192.0.2.1')
  networks.note('ana', '192.0.2.2')
  expect([networks.of('ana'), networks.of('ben')]).toEqual(['192.0.2.2', 'ben'])
  for (let n = 0; n < 9999; n += 1) networks.note(`user ${n}`, '192.0.2.3')
  expect(networks.of('ana')).toBe('192.0.2.2')
  networks.note('ana', '192.0.2.4')
  networks.note('ben', '192.0.2.5')
  expect([networks.of('user 0'), networks.of('ana')]).toEqual(['user 0', '192.0.2.4'])
})
