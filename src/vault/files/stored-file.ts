/** A file as its owner may see it: its row, and the contents of its seal. */
import type { FileSort, SealedFile } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { VaultContext } from '../context.ts'
import { openSecrets, type Secrets } from '../crypto/envelope.ts'
import { Damage } from './damage.ts'

/** Rows of a page that are read in one piece. Other requests wait for it. */
const ROWS = 250
/** Seals that are opened in one piece. That takes one or two milliseconds, and other requests wait for it. */
const SEALS = 100
/** The maximum of cached digests: about 6 MiB of memory. */
const MOST_REMEMBERED = 16_384

export interface StoredFile extends Omit<SealedFile, 'seal' | 'tag'> {
  /** Lower-case hex of the bytes as uploaded. */
  sha256: string
}

/** A row and the SHA-256 from its seal. */
type Unsealed<Row extends SealedFile> = Row & Pick<StoredFile, 'sha256'>

/** Opens a row. A row that was changed is an `internal-error`, because nothing in it is reliable. */
export function unseal<Row extends SealedFile>(
  vaultKey: Buffer,
  owner: string,
  row: Row,
): { file: Unsealed<Row>; secrets: Secrets } {
  const secrets = secretsOf(vaultKey, owner, row)
  return { file: withDigest(row, secrets.sha256), secrets }
}

/** Reads a page of rows in pieces. `nextTurn` comes before each piece, and `placeOf` is where the next one begins. */
export async function readInPieces<Row, Place>(
  nextTurn: () => Promise<void>,
  { after: first, limit }: { after: Place | null; limit: number },
  read: (piece: { after: Place | null; limit: number }) => Promise<Row[]>,
  placeOf: (row: Row) => Place,
): Promise<Row[]> {
  const rows: Row[] = []
  for (let after = first; ; ) {
    await nextTurn()
    const most = Math.min(ROWS, limit - rows.length)
    const piece = await read({ after, limit: most })
    rows.push(...piece)
    const last = piece.at(-1)
    if (!last || piece.length < most || rows.length === limit) return rows
    after = placeOf(last)
  }
}

/** Opens the rows of a page, with pauses. */
export type UnsealPage = <Row extends SealedFile>(
  vaultKey: Buffer,
  owner: string,
  rows: Row[],
) => Promise<Unsealed<Row>[]>

/**
 * Opens pages for lists. A list shows only digests, so the digests of recently listed rows are cached; file keys are
 * not. The cache key contains everything that the seal is bound to: a row with another owner, id, size or seal is
 * opened again.
 */
export function openUnsealing({ turns }: Pick<VaultContext, 'turns'>): UnsealPage {
  const digests = new Map<string, string>()

  return async (vaultKey, owner, rows) => {
    const files = []
    for (const row of rows) {
      if (files.length % SEALS === 0) await turns.next(owner)
      const key = [owner, row.id, row.sizeBytes, row.seal.toString('latin1')].join('\0')
      let sha256 = digests.get(key)
      if (sha256 === undefined) {
        sha256 = secretsOf(vaultKey, owner, row).sha256
      } else {
        digests.delete(key)
      }
      // The last used digest is at the end.
      digests.set(key, sha256)
      files.push(withDigest(row, sha256))
    }
    // Its caller makes a response of the whole page. That is a piece of its own.
    if (files.length > SEALS) await turns.next(owner)
    for (const key of digests.keys()) {
      if (digests.size <= MOST_REMEMBERED) break
      digests.delete(key)
    }
    return files
  }
}

/** Completes the row itself. Copies of all rows of a page would take as long as a third of reading them. */
function withDigest<Row extends SealedFile>(row: Row, sha256: string): Unsealed<Row> {
  return Object.assign(row, { sha256 })
}

function secretsOf(vaultKey: Buffer, owner: string, row: SealedFile): Secrets {
  try {
    return openSecrets(vaultKey, owner, row)
  } catch (cause) {
    throw problems.internalError(new Damage(row.id, 'its seal does not open', { cause }))
  }
}

/** The value by which a list has the file in this order. */
export function sortKeyOf(
  {
    name,
    createdAt,
    updatedAt,
    sizeBytes,
    takenAt,
  }: Pick<StoredFile, 'name' | 'createdAt' | 'updatedAt' | 'sizeBytes' | 'takenAt'>,
  sort: FileSort,
): string | number {
  return { name, createdAt, updatedAt, size: sizeBytes, takenAt: takenAt ?? createdAt }[sort]
}
