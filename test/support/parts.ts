/** Stores a file in several parts, as no request does yet: the rows of a small upload are replaced by those of its parts. */
import { randomBytes } from 'node:crypto'
import { frameSealer, openSecrets, sealPartKey, sealSecrets } from '../../src/vault/crypto/envelope.ts'
import { openKeyring } from '../../src/vault/crypto/keyring.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import type { Member, TestApp } from './app.ts'
import { databaseOf } from './operator.ts'

/** Puts the content under this name, cut at these places. Returns the blobs of its parts. */
export async function putInParts(app: TestApp, owner: Member, name: string, content: Buffer, cuts: number[]) {
  const { files, blobs, masterKeys, keySlots } = app.ports
  await owner.put(name, content)
  const { file, firstPart } = (await files.snapshot(owner.userId, name)) ?? {}
  if (!file || !firstPart) throw new Error('the upload failed')
  const keys = openKeyring({ ports: { masterKeys, keySlots, chance: cryptographicChance } })
  const vaultKey = await keys.vaultKey(owner.userId)
  const secrets = { ...openSecrets(vaultKey, owner.userId, file), parts: cuts.length + 1 }
  const rows: unknown[][] = []
  for (const [n, start] of [0, ...cuts].entries()) {
    const bytes = content.subarray(start, cuts[n])
    const part = { start, sizeBytes: bytes.length }
    const key = randomBytes(32)
    const blob = `${firstPart.blob}-${n}`
    await blobs.put(blob, once(frameSealer(key, randomBytes(32))([bytes], bytes.length, true)))
    rows.push([file.version, start, bytes.length, blob, sealPartKey(secrets.fileKey, randomBytes(12), part, key)])
  }
  const db = databaseOf(app)
  db.transaction(() => {
    db.prepare('DELETE FROM parts WHERE version = ?').run(file.version)
    const add = db.prepare('INSERT INTO parts (version, start, size, blob, seal) VALUES (?, ?, ?, ?, ?)')
    for (const row of rows) add.run(...row)
    const seal = sealSecrets(vaultKey, randomBytes(12), owner.userId, file.id, secrets)
    db.prepare('UPDATE files SET seal = ? WHERE id = ?').run(seal, file.id)
  })()
  await blobs.delete([firstPart.blob])
  return rows.map(([, , , blob]) => blob as string)
}

async function* once(batch: Uint8Array[]) {
  yield batch
}
