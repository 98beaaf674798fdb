/** Pages of a user's files. */
import type { FileQuery, SealedFile } from '../../ports/files.ts'
import type { Needs } from '../context.ts'
import { readInPieces, type StoredFile, sortKeyOf } from './stored-file.ts'

/** Rows of a scan that are read in one piece. That takes a few milliseconds, and other requests wait for it. */
const SCAN = 250
const MOST_SCANNED = 20_000

export interface Listing {
  /**
   * One page of the owner's files. If few files match, the page may be short; then `goOn` is not `null` and the list
   * goes on there.
   */
  list(owner: string, query: FileQuery): Promise<{ files: StoredFile[]; goOn: FileQuery['after'] }>
}

export function openListing({
  ports: { files },
  keys,
  turns,
  unsealPage,
}: Needs<'files', 'keys' | 'turns' | 'unsealPage'>): Listing {
  return {
    async list(owner, query) {
      const vaultKey = await keys.vaultKey(owner)
      const { prefix, sort } = query
      const { found, goOn } =
        prefix === '' || sort === 'name'
          ? { found: await listed(owner, query), goOn: null }
          : await scanned(owner, { ...query, sort })
      return { files: await unsealPage(vaultKey, owner, found), goOn }
    },
  }

  function listed(owner: string, query: Parameters<typeof files.list>[1]) {
    return readInPieces(
      () => turns.next(owner),
      query,
      (piece) => files.list(owner, { ...query, ...piece }),
      (row) => ({ key: sortKeyOf(row, query.sort), id: row.id }),
    )
  }

  /**
   * In any order but by name, a prefix is found only by reading all rows. One request reads at most `MOST_SCANNED`
   * rows.
   */
  async function scanned(owner: string, query: Parameters<typeof files.scan>[1]) {
    const found: SealedFile[] = []
    let goOn = query.after
    for (let scannedRows = 0; scannedRows < MOST_SCANNED; scannedRows += SCAN) {
      await turns.next(owner)
      const step = await files.scan(owner, { ...query, after: goOn, limit: query.limit - found.length }, SCAN)
      found.push(...step.found)
      goOn = step.last
      if (goOn === null || found.length === query.limit) break
    }
    return { found, goOn }
  }
}
