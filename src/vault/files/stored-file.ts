/** A file as its owner may see it: its row, and what its seal vouches for. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SealedFile } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import { openSecrets, type Secrets } from '../crypto/envelope.ts'
import { Damage } from './damage.ts'

/** Seals that are opened in one piece, which takes a millisecond or two: other requests wait for it. */
const PIECE = 100
/** About 6 MiB of memory. */
const MOST_REMEMBERED = 16_384

export interface StoredFile extends Omit<SealedFile, 'seal' | 'tag'> {
  /** Lower-case hex of the bytes as uploaded. */
  sha256: string
}

/** A row and what its seal told. */
type Unsealed<Row extends SealedFile> = Omit<Row, 'seal' | 'tag'> & StoredFile

/** Opens a row. One that was tampered with is an `internal-error`: nothing in it can be relied on. */
export function unseal<Row extends SealedFile>(
  vaultKey: Buffer,
  owner: string,
  row: Row,
): { file: Unsealed<Row>; secrets: Secrets } {
  const secrets = secretsOf(vaultKey, owner, row)
  return { file: withDigest(row, secrets.sha256), secrets }
}

/** Opens the rows of a page, with pauses. */
export type UnsealPage = <Row extends SealedFile>(
  vaultKey: Buffer,
  owner: string,
  rows: Row[],
) => Promise<Unsealed<Row>[]>

/**
 * Lists show digests only, so those of the rows that were last listed are remembered; no file key is. What is remembered
 * goes with all that its seal is bound to: another row, size or seal is opened anew.
 */
export function openUnsealing(): UnsealPage {
  const digests = new Map<string, string>()

  return async (vaultKey, owner, rows) => {
    const files = []
    let opened = 0
    for (const row of rows) {
      const key = [owner, row.id, row.sizeBytes, row.seal.toString('latin1')].join('\0')
      let sha256 = digests.get(key)
      if (sha256 === undefined) {
        sha256 = secretsOf(vaultKey, owner, row).sha256
        opened += 1
        if (opened % PIECE === 0) await nextTurn()
      } else {
        digests.delete(key)
      }
      // The one that was used last stands at the end.
      digests.set(key, sha256)
      files.push(withDigest(row, sha256))
    }
    for (const key of digests.keys()) {
      if (digests.size <= MOST_REMEMBERED) break
      digests.delete(key)
    }
    return files
  }
}

function withDigest<Row extends SealedFile>(row: Row, sha256: string): Unsealed<Row> {
  const { seal: _seal, tag: _tag, ...file } = row
  return { ...file, sha256 }
}

function secretsOf(vaultKey: Buffer, owner: string, row: SealedFile): Secrets {
  try {
    return openSecrets(vaultKey, owner, row)
  } catch (cause) {
    throw problems.internalError(new Damage(row.id, 'its seal does not open', cause))
  }
}
