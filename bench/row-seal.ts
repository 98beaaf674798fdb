/** The only place where the bench creates seals of our server. */
import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { readKeyFile } from '../src/adapters/disk/key-file.ts'
import { sqliteKeySlots } from '../src/adapters/sqlite/key-slots.ts'
import { sealSecrets } from '../src/vault/crypto/envelope.ts'
import { openKeyring } from '../src/vault/crypto/keyring.ts'
import { tagsUnder } from '../src/vault/files/tags.ts'

/**
 * The name of the seal column of `files`, and a function that creates its value, with its digest and tag, for files of this
 * owner. A listing and a lookup open the seal, so it must be valid.
 */
export async function rowSeal(database: Database, owner: string) {
  const current = Buffer.from(readKeyFile(join(dirname(database.name), 'master.key')) ?? '', 'base64')
  const slots = sqliteKeySlots(database, async (act) => act())
  const vaultKey = await openKeyring({
    ports: { masterKeys: { current, previous: [] }, keySlots: slots, chance: { bytes: randomBytes } },
  }).vaultKey(owner)
  const tagOf = tagsUnder(vaultKey)
  return {
    column: 'seal',
    of({ id, sizeBytes }: { id: string; sizeBytes: number }): { sealed: Buffer; tag: Buffer; sha256: string } {
      const sha256 = randomBytes(32).toString('hex')
      const secrets = { fileKey: randomBytes(32), sha256, sizeBytes, parts: 1 }
      return { sealed: sealSecrets(vaultKey, randomBytes(12), owner, id, secrets), tag: tagOf(sha256), sha256 }
    },
  }
}
