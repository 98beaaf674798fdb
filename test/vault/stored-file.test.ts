import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { sealSecrets } from '../../src/vault/crypto/envelope.ts'
import { openUnsealing, readInPieces } from '../../src/vault/files/stored-file.ts'
import { openTurns } from '../../src/vault/turns.ts'
import { notedTurns } from '../support/turns.ts'

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
    ...{
      id,
      name: id,
      sizeBytes: n,
      contentType: 'a/b',
      createdAt: T,
      updatedAt: T,
      namedAt: T,
      version: `version-${n}`,
    },
    ...{ takenAt: null, takenOffset: 0, verifiedAt: null, thumbnail: null, thumbnailBytes: 0 },
  }
  return { row: { ...clear, seal, tag: null }, sha256 }
}

it('opens more rows than it remembers, each with what its own seal told', async () => {
  const all = Array.from({ length: 16_500 }, (_, n) => sealedRow(n))
  const unsealPage = openUnsealing({ turns: openTurns() })
  for (const part of [all, all.slice(0, 300), all.slice(-300)]) {
    const rows = part.map(({ row }) => ({ ...row }))
    expect(await unsealPage(vaultKey, 'ana', rows)).toEqual(part.map(({ row, sha256 }) => ({ ...row, sha256 })))
  }
})

it('takes a turn for each hundred rows, and one for the response', async () => {
  const rows = Array.from({ length: 250 }, (_, n) => sealedRow(n).row)
  const { turns, taken } = notedTurns()
  await openUnsealing({ turns })(vaultKey, 'ana', rows)
  expect(taken).toEqual(['ana', 'ana', 'ana', 'ana'])
})

it('opens a remembered row for nobody else', async () => {
  const { row } = sealedRow(7)
  const unsealPage = openUnsealing({ turns: openTurns() })
  await unsealPage(vaultKey, 'ana', [row])
  await expect(unsealPage(vaultKey, 'ben', [row])).rejects.toThrow()
})

it('reads a page in pieces of bounded length, without a gap or a row twice', async () => {
  const rows = Array.from({ length: 1200 }, (_, n) => n)
  const lengths: number[] = []
  const read = async ({ after, limit }: { after: number | null; limit: number }) => {
    const piece = rows.slice(after === null ? 0 : after + 1).slice(0, limit)
    lengths.push(piece.length)
    return piece
  }
  const turn = () => openTurns().next('ana')
  const page = (after: number | null, limit: number) => readInPieces(turn, { after, limit }, read, (row) => row)
  for (const limit of [1, 250, 251, 1001]) expect(await page(null, limit)).toEqual(rows.slice(0, limit))
  expect(await page(699, 1001)).toEqual(rows.slice(700))
  expect(await page(1199, 10)).toEqual([])
  expect(Math.max(...lengths)).toBe(250)
})
