/** The yardstick's rows: the same engine, pragmas, tables, indexes and look-ups as the server's, and nothing around them. */
import Database from 'better-sqlite3'

const SCHEMA = `
CREATE TABLE users (
  id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, device_id TEXT NOT NULL,
  token_hash BLOB NOT NULL UNIQUE, pin_id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL, ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_of_device ON sessions (user_id, device_id) WHERE ended_at IS NULL;
CREATE TABLE files (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), name TEXT NOT NULL, size INTEGER NOT NULL,
  content_type TEXT NOT NULL, sha256 TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  blob TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_by_name ON files (user_id, name);
CREATE INDEX files_by_created_at ON files (user_id, created_at, id);
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id);
CREATE INDEX files_by_size ON files (user_id, size, id);
`

export interface FileRow {
  id: string
  size: number
  contentType: string
  sha256: string
  blob: string
}

export interface Pin {
  id: string
  digest: Buffer
  expiresAt: number
  user: { id: string; name: string; email: string }
}

export type BareDatabase = ReturnType<typeof bareDatabase>

export function bareDatabase(path: string) {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('fullfsync = ON')
  db.pragma('foreign_keys = ON')
  db.pragma('trusted_schema = OFF')
  db.exec(SCHEMA)
  const commit = groupCommit(db)

  const bySession = db.prepare<[Buffer], { userId: string }>(
    'SELECT user_id AS userId FROM sessions WHERE token_hash = ? AND ended_at IS NULL',
  )
  const byEmail = db.prepare<[string], unknown>('SELECT id FROM users WHERE email = ?')
  const byName = db.prepare<[string, string], FileRow>(
    'SELECT id, size, content_type AS contentType, sha256, blob FROM files WHERE user_id = ? AND name = ?',
  )
  const addFile = db.prepare('INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const replaceFile = db.prepare(
    'UPDATE files SET size = ?, content_type = ?, sha256 = ?, updated_at = ?, blob = ? WHERE user_id = ? AND name = ?',
  )
  const pinUsed = db.prepare<[string], unknown>('SELECT 1 FROM sessions WHERE pin_id = ?')
  const addUser = db.prepare('INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT (email) DO NOTHING')
  const endOfDevice = db.prepare(
    'UPDATE sessions SET ended_at = ? WHERE user_id = ? AND device_id = ? AND ended_at IS NULL',
  )
  const addSession = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, NULL)')

  return {
    ownerOf: (tokenHash: Buffer) => bySession.get(tokenHash)?.userId ?? null,
    isTaken: (email: string) => byEmail.get(email) !== undefined,
    file: (owner: string, name: string) => byName.get(owner, name) ?? null,

    /** Answers the blob that was replaced, or `null` for none. */
    putFile(owner: string, name: string, file: FileRow): Promise<string | null> {
      return commit(() => {
        const { id, size, contentType, sha256, blob } = file
        const now = Date.now()
        const replaced = byName.get(owner, name)
        if (replaced) replaceFile.run(size, contentType, sha256, now, blob, owner, name)
        else addFile.run(id, owner, name, size, contentType, sha256, now, now, blob)
        return replaced?.blob ?? null
      })
    },

    /** False where the PIN was used or the address is taken. */
    signIn(pin: Pin, sessionId: string, deviceId: string, tokenHash: Buffer): Promise<boolean> {
      return commit(() => {
        const { id, name, email } = pin.user
        const now = Date.now()
        if (pinUsed.get(pin.id) || addUser.run(id, email, name, now).changes === 0) return false
        endOfDevice.run(now, id, deviceId)
        addSession.run(sessionId, id, deviceId, tokenHash, pin.id, now, now)
        return true
      })
    },
  }
}

/** The acts of one turn of the event loop share a transaction, and so a sync. */
function groupCommit(db: Database.Database) {
  let waiting: { act: () => void; settle: () => void; reject: (error: unknown) => void }[] = []
  const runAll = db.transaction((group: typeof waiting) => {
    for (const { act } of group) act()
  }).immediate

  return <T>(act: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      let answer: T
      const run = () => {
        answer = act()
      }
      if (waiting.length === 0) setImmediate(commitAll)
      waiting.push({ act: run, settle: () => resolve(answer), reject })
    })

  function commitAll() {
    const group = waiting
    waiting = []
    try {
      runAll(group)
    } catch (error) {
      for (const { reject } of group) reject(error)
      return
    }
    for (const { settle } of group) settle()
  }
}
