import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { sealSecrets } from '../../src/vault/crypto/envelope.ts'
import { openUnsealing } from '../../src/vault/files/stored-file.ts'

const T = Date.UTC(2026, 10, 22)
const vaultKey = randomBytes(32)

function sealedRow(n: number) {
  const id = `id-${n}`
  const sha256 = n.toString(16).padStart(64, '0')
  const seal = sealSecrets(vaultKey, randomBytes(12), 'ana', id, {
    fileKey: randomBytes(32),
    sha256,
    sizeBytes: n,
    parts: 1,
  })
  const clear = {
    id,
    name: id,
    sizeBytes: n,
    contentType: 'a/b',
    createdAt: T,
    updatedAt: T,
    namedAt: T,
    version: `version-${n}`,
  }
  return { row: { ...clear, seal, tag: null }, file: { ...clear, sha256 } }
}

it('opens more rows than it remembers, each with what its own seal told', async () => {
  const all = Array.from({ length: 16_500 }, (_, n) => sealedRow(n))
  const unsealPage = openUnsealing()
  for (const part of [all, all.slice(0, 300), all.slice(-300)]) {
    const files = await unsealPage(
      vaultKey,
      'ana',
      part.map(({ row }) => row),
    )
    expect(files).toEqual(part.map(({ file }) => file))
  }
})

it('takes pauses, in which others have their turn', async () => {
  const rows = Array.from({ length: 250 }, (_, n) => sealedRow(n).row)
  let turns = 0
  const count = () => {
    turns += 1
    turn = setImmediate(count)
  }
  let turn = setImmediate(count)
  await openUnsealing()(vaultKey, 'ana', rows)
  clearImmediate(turn)
  expect(turns).toBeGreaterThanOrEqual(2)
})

it('opens a remembered row for nobody else', async () => {
  const { row } = sealedRow(7)
  const unsealPage = openUnsealing()
  await unsealPage(vaultKey, 'ana', [row])
  await expect(unsealPage(vaultKey, 'ben', [row])).rejects.toThrow()
})
