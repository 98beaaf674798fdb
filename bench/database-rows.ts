/** Measures the size of the rows of very many files in PostgreSQL, and the log bytes of an upload. */
import pg from 'pg'
import { openDatabase } from '../src/adapters/postgres/database.ts'
import { migrate } from '../src/adapters/postgres/migrate.ts'
import { postgresSchema } from './postgres-schema.ts'

const BATCH = 20_000
const FILES_OF_A_USER = 2000
const COMMITS = 2000
/** The size of a seal (`docs/blob-format.md`): file key, SHA-256, size and number of parts, with nonce and tag. */
const SEAL_BYTES = 104

export interface Relation {
  name: string
  bytesPerRow: number
}

export interface DatabaseRows {
  relations: Relation[]
  /** The log bytes of one upload of a new file, without images of whole pages. */
  logBytesPerUpload: number
}

/** Runs in its own schema, which is dropped afterwards. */
export async function databaseRows(server: string, rows: number): Promise<DatabaseRows> {
  const schema = await postgresSchema(server)
  const client = new pg.Client({ connectionString: schema.url })
  try {
    const database = openDatabase(schema.url)
    await migrate(database)
    await database.close()
    await client.connect()
    await fill(client, rows)
    return { relations: await relationsOf(client, rows), logBytesPerUpload: await logOf(client) }
  } finally {
    await client.end()
    await schema.drop()
  }
}

/** Inserts rows as years of uploads would: in the order of their creation, with random ids and blobs. */
async function fill(client: pg.Client, rows: number): Promise<void> {
  const users = Math.max(1, Math.round(rows / FILES_OF_A_USER))
  await client.query(
    `INSERT INTO users (id, email, name, confirmed_by, created_at)
     SELECT ${nanoid("'user' || n")}, 'user' || n || '@example.org', 'Ada', 'email', 0 FROM generate_series(1, $1) AS n`,
    [users],
  )
  for (let from = 0; from < rows; from += BATCH) {
    await client.query(
      `WITH stored AS (
         INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, dated_at, revision, version, seal)
         SELECT ${nanoid("'id' || n")}, ${nanoid("'user' || 1 + n % $2::integer")}, 'IMG_' || n || '.jpg',
           (random() * 1e7)::bigint, 'image/jpeg', 1795000000000 + n * 997, 1795000000000 + n * 997, 1795000000000 + n * 997, n,
           ${nanoid("'version' || n")}, decode(repeat('5a', ${SEAL_BYTES}), 'hex')
         FROM generate_series($1::bigint, $1::bigint + $3::bigint - 1) AS n
         RETURNING version, size, created_at
       )
       INSERT INTO parts (version, start, size, blob)
       SELECT version, 0, size,
         ${nanoid("'run' || created_at / 100000000")} || '/' || ${nanoid("'blob' || version")} FROM stored`,
      [from, users, Math.min(BATCH, rows - from)],
    )
  }
}

/** An id of the same length and randomness as a real one. */
function nanoid(seed: string): string {
  return `translate(left(encode(sha256((${seed})::text::bytea), 'base64'), 21), '+/', '-_')`
}

async function relationsOf(client: pg.Client, rows: number): Promise<Relation[]> {
  const { rows: found } = await client.query<{ name: string; bytes: string }>(
    `SELECT relname AS name, pg_relation_size(oid) AS bytes FROM pg_class
     WHERE oid IN ('files'::regclass, 'parts'::regclass)
       OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN ('files'::regclass, 'parts'::regclass))
     ORDER BY relkind DESC, bytes DESC`,
  )
  return found.map(({ name, bytes }) => ({ name, bytesPerRow: Number(bytes) / rows }))
}

async function logOf(client: pg.Client): Promise<number> {
  await client.query("INSERT INTO runs (id, started_at, key_ids) VALUES ('run', 0, '{}')")
  const position = async () =>
    Number((await client.query("SELECT pg_current_wal_insert_lsn() - '0/0' AS at")).rows[0].at)
  const from = await position()
  for (let n = 0; n < COMMITS; n += 1) {
    const { rows } = await client.query(
      `SELECT answer FROM commit_file(${nanoid("'user1'")}, ${nanoid('$1')}, $1, 1000, 'image/jpeg',
         1795900000000, 1795900000000, 1795900000000, ${nanoid("'version' || $1")}, 'run/' || ${nanoid("'blob' || $1")},
         decode(repeat('5a', ${SEAL_BYTES}), 'hex'), NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0)`,
      [`new-${n}.jpg`],
    )
    if (rows[0]?.answer !== 'done') throw new Error(`a commit was answered with ${rows[0]?.answer}`)
  }
  return ((await position()) - from) / COMMITS
}
