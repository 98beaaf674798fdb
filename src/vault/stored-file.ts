/** A file as its owner may see it: its row, and what its seal vouches for. */
import type { SealedFile } from '../ports.ts'
import { problems } from '../problems.ts'
import { Damage } from './damage.ts'
import { openSecrets, type Secrets } from './envelope.ts'

export interface StoredFile extends Omit<SealedFile, 'seal' | 'tag'> {
  /** Lower-case hex of the bytes as uploaded. */
  sha256: string
}

/** Opens a row. One that was tampered with is an `internal-error`: nothing in it can be relied on. */
export function unseal<Row extends SealedFile>(
  vaultKey: Buffer,
  owner: string,
  row: Row,
): { file: Omit<Row, 'seal' | 'tag'> & StoredFile; secrets: Secrets } {
  const secrets = secretsOf(vaultKey, owner, row)
  const { seal: _seal, tag: _tag, ...file } = row
  return { file: { ...file, sha256: secrets.sha256 }, secrets }
}

function secretsOf(vaultKey: Buffer, owner: string, row: SealedFile): Secrets {
  try {
    return openSecrets(vaultKey, owner, row)
  } catch (cause) {
    throw problems.internalError(new Damage(row.id, 'its seal does not open', cause))
  }
}
