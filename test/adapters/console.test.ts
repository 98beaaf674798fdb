import { expect, it } from 'vitest'
import { consoleDelivery } from '../../src/adapters/delivery/console.ts'

it.each([
  ['pin', '0427', 'PIN 0427'],
  ['code', 'ABCDEFGHIJKLMNOP', 'code ABCDEFGHIJKLMNOP'],
] as const)('a %s is printed as it is to be typed', async (kind, secret, line) => {
  const printed: unknown[] = []
  const delivery = consoleDelivery((fields, message) => printed.push({ ...fields, message }))
  await delivery.deliver({ email: 'ada@example.org', secret, kind, expiresAt: 0, requestId: 'r' })
  expect(printed).toEqual([{ requestId: 'r', [kind]: secret, expiresAt: '1970-01-01T00:00:00.000Z', message: line }])
})

it('notices are for mail: the log has none', async () => {
  const printed: string[] = []
  const delivery = consoleDelivery((_fields, message) => printed.push(message))
  const notice = { event: 'locked', at: 0, address: '192.0.2.7', userAgent: 'curl/8', requestId: 'r' } as const
  await delivery.notify({ email: 'ada@example.org', ...notice })
  expect(printed).toEqual([])
})
