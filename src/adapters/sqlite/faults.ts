/** Maps errors of the disk below SQLite to the codes that `ports.ts` promises. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MESSAGES: Record<string, (folder: string) => string> = {
  ENOSPC: (folder) => `the disk of ${folder} is full`,
  EROFS: (folder) => `${folder} cannot be written`,
  EMFILE: () => 'too many files are open',
}

/** More than the space that is left on a disk that was full a moment ago. */
const PROBE_BYTES = 64 * 1024

/** The error with its promised code, or the same error if it is not the disk's. `folder` is the database's. */
export function diskFault(error: unknown, folder: string): unknown {
  const own = (error as NodeJS.ErrnoException).code ?? ''
  const code = promised(own) ?? ofSqlite(own, folder)
  if (code === null) return error
  return Object.assign(new Error(`${MESSAGES[code]?.(folder)} (${own})`, { cause: error }), { code })
}

/** SQLite's own message, such as `file is not a database`, does not say what to do. */
export function damageFault(error: unknown): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException
  if (!/^SQLITE_(CORRUPT|NOTADB)/.test(code)) return error
  return new Error(`the database is damaged (${message}); restore a backup of it`, { cause: error })
}

function ofSqlite(code: string, folder: string): string | null {
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') return 'ENOSPC'
  if (code.startsWith('SQLITE_READONLY')) return 'EROFS'
  if (code.startsWith('SQLITE_CANTOPEN')) return probe(folder) ?? 'EROFS'
  return code === 'SQLITE_IOERR_WRITE' ? probe(folder) : null
}

/** SQLite does not report why a write failed. So this writes a file in the same folder and returns the system's reason. */
function probe(folder: string): string | null {
  const path = join(folder, 'probe')
  try {
    writeFileSync(path, Buffer.alloc(PROBE_BYTES), { mode: 0o600 })
    return null
  } catch (error) {
    return promised((error as NodeJS.ErrnoException).code ?? '')
  } finally {
    rmSync(path, { force: true })
  }
}

function promised(code: string): string | null {
  if (['ENOSPC', 'EDQUOT'].includes(code)) return 'ENOSPC'
  if (['EROFS', 'EACCES', 'EPERM'].includes(code)) return 'EROFS'
  return ['EMFILE', 'ENFILE'].includes(code) ? 'EMFILE' : null
}
