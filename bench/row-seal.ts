/** The one place where the bench writes what the server vouches for a content with. */
import { createHash } from 'node:crypto'
import type { Database } from 'better-sqlite3'

/**
 * The column of `files` that vouches for a row's content, and what it holds for the files of this owner, whose database
 * it is: a listing reads it.
 */
export async function rowSeal(_database: Database, _owner: string) {
  return {
    column: 'sha256',
    of: ({ id }: { id: string; sizeBytes: number }): string | Buffer => createHash('sha256').update(id).digest('hex'),
  }
}
