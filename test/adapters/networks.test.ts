import { expect, it } from 'vitest'
import { memoryNetworks } from '../../src/adapters/memory/networks.ts'

it('knows the latest network of a user while a request runs, and of the users who came last', () => {
  const networks = memoryNetworks()
  const ends = [networks.begin('ana', '192.0.2.1'), networks.begin('ana', '192.0.2.2')]
  const visit = (count: number) => {
    for (let n = 0; n < count; n += 1) networks.begin(`user ${n}`, '192.0.2.3')()
  }
  visit(20_000)
  expect([networks.of('ana'), networks.of('ben'), networks.of('user 0')]).toEqual(['192.0.2.2', null, null])
  ends[0]?.()
  visit(20_000)
  expect(networks.of('ana')).toBe('192.0.2.2')
  ends[1]?.()
  visit(9999)
  expect(networks.of('ana')).toBe('192.0.2.2')
  visit(10_000)
  expect(networks.of('ana')).toBe(null)
})
