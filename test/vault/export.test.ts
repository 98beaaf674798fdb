import { expect, it } from 'vitest'
import { openBackgroundWork } from '../../src/vault/background.ts'
import { openKeyring } from '../../src/vault/crypto/keyring.ts'
import { openExports } from '../../src/vault/files/export.ts'
import { openReadBacks } from '../../src/vault/files/read-backs.ts'
import { member, testApp } from '../support/app.ts'
import { notedTurns } from '../support/turns.ts'

it('takes a turn for each page and each file, so that small files delay nobody', async () => {
  const app = await testApp()
  const ada = await member(app)
  const ids: string[] = []
  for (let n = 0; n < 5; n += 1) ids.push(((await ada.put(`file-${n}`, `bytes ${n}`)).body as { id: string }).id)
  await app.settled()
  const { turns, taken } = notedTurns()
  const { ports, vault } = app
  const { rules } = vault
  const keys = openKeyring({ ports })
  const work = openBackgroundWork({ ports })
  const readBacks = openReadBacks({ ports, rules, keys, background: work.run })
  const exports = openExports({ ports, rules, keys, activity: vault.activity, readBacks, turns })
  const read = async (files: AsyncIterable<unknown>) => {
    let count = 0
    for await (const _ of files) count += 1
    return count
  }

  const chosen = await exports.choose(ada.userId, ids)
  expect(await read(chosen.files)).toBe(5)
  expect(taken.splice(0)).toEqual(Array(1 + 5).fill(ada.userId))

  const everything = exports.begin(ada.userId, { address: '', userAgent: '', requestId: '' }, () => true)
  expect(await read(everything.files)).toBe(5)
  // Two rounds through the files and the trash.
  expect(taken).toEqual(Array(4 + 5).fill(ada.userId))
})
