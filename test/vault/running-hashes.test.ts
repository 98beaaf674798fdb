import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { openRunningHashes } from '../../src/vault/uploads/running-hashes.ts'

const hashOf = (text: string) => createHash('sha256').update(text)

it('are kept for the uploads of others, however many uploads one user has', () => {
  const hashes = openRunningHashes(3)
  hashes.keep('ben', 'film', 3, hashOf('sea'))
  for (let n = 0; n < 5; n += 1) hashes.keep('eve', `upload ${n}`, 3, hashOf('sun'))
  const known = ['upload 2', 'upload 3', 'upload 4'].map((id) => hashes.of('eve', { id, offset: 3 }) !== null)
  expect(known).toEqual([false, true, true])
  expect(hashes.of('ben', { id: 'film', offset: 3 })?.digest('hex')).toBe(hashOf('sea').digest('hex'))
  expect(hashes.of('eve', { id: 'film', offset: 3 })).toBe(null)
  hashes.forget('ben', 'film')
  expect(hashes.of('ben', { id: 'film', offset: 3 })).toBe(null)
})
