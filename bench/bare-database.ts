/** The database of the bare server: the same engine, pragmas, tables, indexes and queries as ours, without anything else. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'

/** The same as `src/adapters/sqlite/migrations`, for the columns that are used here. */
const SCHEMA = `
CREATE TABLE users (
  id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, confirmed_by TEXT NOT NULL,
  created_at INTEGER NOT NULL, file_count INTEGER NOT NULL DEFAULT 0, byte_count INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE key_slots (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, kind TEXT NOT NULL, key_id TEXT NOT NULL,
  sealed BLOB NOT NULL, PRIMARY KEY (user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_slots_by_key ON key_slots (key_id, user_id);
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE, device_id TEXT NOT NULL,
  token_hash BLOB NOT NULL UNIQUE, pin_id TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL, ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_of_device ON sessions (user_id, device_id) WHERE ended_at IS NULL;
CREATE TABLE files (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, content_type TEXT NOT NULL,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, blob TEXT NOT NULL, seal BLOB NOT NULL,
  deleted_at INTEGER, tag BLOB, dated_at INTEGER NOT NULL, revision INTEGER NOT NULL, verified_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_by_name ON files (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX files_by_created_at ON files (user_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_size ON files (user_id, size, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_tag ON files (user_id, tag, deleted_at, name);
CREATE INDEX files_by_dated_at ON files (user_id, dated_at, id, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX files_by_revision ON files (user_id, revision) WHERE deleted_at IS NULL;
CREATE INDEX files_by_verified_at ON files (coalesce(verified_at, 0), id);
CREATE TABLE parts (
  version TEXT NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL, blob TEXT NOT NULL UNIQUE, seal BLOB,
  PRIMARY KEY (version, start)
) STRICT, WITHOUT ROWID;
CREATE TABLE devices (
  user_id TEXT NOT NULL, device_id TEXT NOT NULL, first_seen_at INTEGER NOT NULL, PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE activity (
  id TEXT PRIMARY KEY, user_id TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, device_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX activity_of_user ON activity (user_id, at, id);
CREATE TABLE guesses (address BLOB PRIMARY KEY, wrong INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`

export interface FileRow {
  id: string
  size: number
  contentType: string
  seal: Buffer
  blob: string
}

export interface Pin {
  id: string
  digest: Buffer
  expiresAt: number
  user: { id: string; name: string; email: string }
}

/** A new user's vault key under the master key of that id. */
export interface Slot {
  keyId: string
  sealed: Buffer
}

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
    'SELECT id, size, content_type AS contentType, seal, blob FROM files WHERE user_id = ? AND name = ? AND deleted_at IS NULL',
  )
  const addFile = db.prepare('INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, NULL)')
  const addPart = db.prepare('INSERT INTO parts VALUES (?, 0, ?, ?, NULL)')
  const replaceFile = db.prepare(
    'UPDATE files SET size = ?, content_type = ?, seal = ?, updated_at = ?, blob = ?, tag = ?, revision = ? WHERE id = ?',
  )
  const count = db
    .prepare<[number, number, string], number>(
      `UPDATE users SET file_count = file_count + ?, byte_count = byte_count + ?, revision = revision + 1 WHERE id = ?
       RETURNING revision`,
    )
    .pluck()
  const pinUsed = db.prepare<[string], unknown>('SELECT 1 FROM sessions WHERE pin_id = ?')
  const addUser = db.prepare(
    `INSERT INTO users (id, email, name, confirmed_by, created_at) VALUES (?, ?, ?, 'response', ?)
     ON CONFLICT (email) DO NOTHING`,
  )
  const slotOf = db.prepare<[string], { sealed: Buffer }>(
    "SELECT sealed FROM key_slots WHERE user_id = ? AND kind = 'server'",
  )
  const addSlot = db.prepare("INSERT INTO key_slots VALUES (?, 'server', ?, ?)")
  const endOfDevice = db.prepare(
    'UPDATE sessions SET ended_at = ? WHERE user_id = ? AND device_id = ? AND ended_at IS NULL',
  )
  const addSession = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, NULL)')

  const addDevice = db.prepare('INSERT INTO devices VALUES (?, ?, ?)')
  const addActivity = db.prepare("INSERT INTO activity VALUES (?, ?, ?, 'sign-in', ?)")
  const countGuess = db.prepare(
    'INSERT INTO guesses VALUES (?, 1) ON CONFLICT (address) DO UPDATE SET wrong = wrong + 1',
  )
  const forgiveGuess = db.prepare('UPDATE guesses SET wrong = wrong - 1 WHERE address = ?')

  return {
    ownerOf: (tokenHash: Buffer) => bySession.get(tokenHash)?.userId ?? null,
    slot: (owner: string) => slotOf.get(owner)?.sealed as Buffer,
    isTaken: (email: string) => byEmail.get(email) !== undefined,
    file: (owner: string, name: string) => byName.get(owner, name) ?? null,

    /** Returns the replaced blob, or `null`. */
    putFile(owner: string, name: string, file: FileRow): Promise<string | null> {
      return commit(() => {
        const { id, size, contentType, seal, blob } = file
        const now = Date.now()
        const replaced = byName.get(owner, name)
        const revision = count.get(replaced ? 0 : 1, size - (replaced?.size ?? 0), owner)
        const tag = randomBytes(16)
        if (replaced) replaceFile.run(size, contentType, seal, now, blob, tag, revision, id)
        else addFile.run(id, owner, name, size, contentType, now, now, blob, seal, tag, now, revision)
        addPart.run(blob, size, blob)
        return replaced?.blob ?? null
      })
    },

    /** False if the PIN was used or the address is taken. */
    signIn(pin: Pin, slot: Slot, sessionId: string, deviceId: string, tokenHash: Buffer): Promise<boolean> {
      return commit(() => {
        const { id, name, email } = pin.user
        const now = Date.now()
        const address = createHash('sha256').update(email).digest()
        countGuess.run(address)
        if (pinUsed.get(pin.id) || addUser.run(id, email, name, now).changes === 0) return false
        addSlot.run(id, slot.keyId, slot.sealed)
        endOfDevice.run(now, id, deviceId)
        addSession.run(sessionId, id, deviceId, tokenHash, pin.id, now, now)
        addDevice.run(id, deviceId, now)
        addActivity.run(randomUUID(), id, now, deviceId)
        forgiveGuess.run(address)
        return true
      })
    },
  }
}

/** The writes of one iteration of the event loop share a transaction, and so one sync. */
function groupCommit(db: Database.Database) {
  let waiting: { write: () => void; settle: () => void; reject: (error: unknown) => void }[] = []
  const runAll = db.transaction((group: typeof waiting) => {
    for (const { write } of group) write()
  }).immediate

  return <T>(write: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      let answer: T
      const run = () => {
        answer = write()
      }
      if (waiting.length === 0) setImmediate(commitAll)
      waiting.push({ write: run, settle: () => resolve(answer), reject })
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
