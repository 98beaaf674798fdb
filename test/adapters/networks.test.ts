import { expect, it } from 'vitest'
import { memoryNetworks } from '../../src/adapters/memory/networks.ts'

it('knows the latest network of the users who came last', () => {
  const networks = memoryNetworks()
  networks.note('ana', '192.0.2.1')
  networks.note('ana', '192.0.2.2')
  expect([networks.of('ana'), networks.of('ben')]).toEqual(['192.0.2.2', null])
  for (let n = 0; n < 9999; n += 1) networks.note(`user ${n}`, '192.0.2.3')
  expect(networks.of('ana')).toBe('192.0.2.2')
  networks.note('ana', '192.0.2.4')
  networks.note('ben', '192.0.2.5')
  expect([networks.of('user 0'), networks.of('ana')]).toEqual([null, '192.0.2.4'])
})
