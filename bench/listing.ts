/** Compares the cost of the last page of a list with the first, for a user with very many files, and measures lookups. */
import { randomBytes, randomInt } from 'node:crypto'
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { nanoid } from 'nanoid'
import type { Pages } from './report.ts'
import { rowSeal } from './row-seal.ts'
import { dataFolder, mainThreadMs, ourServer, type Server } from './servers.ts'

const SORTS = ['name', 'createdAt', 'updatedAt', 'size', 'takenAt']
const PAGE = 50
const PAGES_A_TURN = 16
const DIGESTS = 1000
const MOST_ROUNDS = 100
const YEAR_MS = 365 * 24 * 3600 * 1000

export interface Listing {
  measured: Pages[]
  /** The CPU milliseconds of a lookup of 1,000 digests, in each round. */
  lookups: { title: string; rounds: number[] }[]
  /** The size of the database for each row. */
  bytesPerRow: number
}

/** Requests the first and the last page of every sort alternately in each round, for the given time. */
export async function listing(folder: string, rows: number, rounds: number, seconds: number): Promise<Listing> {
  const before = await ourServer(folder)
  await before.stop()
  const digests = await fill(folder, rows)
  const bytesPerRow = statSync(join(dataFolder(folder), 'minikeepsafe.db')).size / rows
  const server = await ourServer(folder, before.headers)
  try {
    const measured: Pages[] = []
    for (const sort of SORTS) {
      const cursor = await lastCursor(server, sort)
      const pages: Pages = { sort, rounds: [] }
      for (let round = 0; round < rounds; round += 1) pages.rounds.push(await costs(server, sort, cursor, seconds))
      measured.push(pages)
    }
    return { measured, lookups: await lookups(server, digests, rounds), bytesPerRow }
  } finally {
    await server.stop()
  }
}

/** Returns the milliseconds of a page. Turns are short, so that other load of the machine affects both pages equally. */
async function costs(server: Server, sort: string, cursor: string, seconds: number) {
  const cursors = { first: '', last: `&cursor=${cursor}` }
  const spent = { first: 0, last: 0 }
  const order: ('first' | 'last')[] = ['first', 'last']
  const end = performance.now() + seconds * 1000
  let turns = 0
  do {
    for (const which of order) {
      const began = mainThreadMs(server.pid)
      await Promise.all(Array.from({ length: PAGES_A_TURN }, () => page(server, sort, PAGE, cursors[which])))
      spent[which] += mainThreadMs(server.pid) - began
    }
    order.reverse()
    turns += PAGES_A_TURN
  } while (performance.now() < end)
  return { first: spent.first / turns, last: spent.last / turns }
}

/**
 * The cursor of the last page. Paging to it takes a thousand requests, so the cursor of another page is rewritten with the keys
 * from the other end of the list. Throws if the result is not the complete last page.
 */
async function lastCursor(server: Server, sort: string): Promise<string> {
  const fromEnd = (await page(server, sort, PAGE + 1, '&order=desc')).files
  const before = fromEnd[PAGE] as File
  const key = sort.endsWith('At') ? Date.parse(String(before[sort])) : before[sort]
  const [list] = JSON.parse(Buffer.from((await page(server, sort, 1)).nextCursor as string, 'base64url').toString())
  const cursor = Buffer.from(JSON.stringify([list, key, before.id])).toString('base64url')
  const { files, nextCursor } = await page(server, sort, PAGE, `&cursor=${cursor}`)
  const ids = (files: File[]) => files.map(({ id }) => id).join()
  if (ids(files) !== ids(fromEnd.slice(0, PAGE).reverse()) || nextCursor !== null) {
    throw new Error(`the last page by ${sort} is not where it should be`)
  }
  return cursor
}

type File = Record<string, string | number>

async function page(server: Server, sort: string, limit: number, where = '') {
  const url = `http://127.0.0.1:${server.port}/v1/files?limit=${limit}&sort=${sort}${where}`
  const response = await fetch(url, { headers: server.headers })
  if (!response.ok) throw new Error(`a page was answered with ${response.status}`)
  return (await response.json()) as { files: File[]; nextCursor: string | null }
}

/** Digests of files that are there, of others, and of both in turn. No digest is asked for twice. */
async function lookups(server: Server, digests: string[], rounds: number): Promise<Listing['lookups']> {
  const others = () => Array.from({ length: DIGESTS }, () => randomBytes(32).toString('hex'))
  const measured: Listing['lookups'] = [
    { title: `${DIGESTS} digests that are there`, rounds: [] },
    { title: `${DIGESTS} others`, rounds: [] },
  ]
  for (let round = 0; round < rounds; round += 1) {
    for (const { title, rounds } of measured) {
      const sha256 = title.endsWith('there') ? digests.slice(round * DIGESTS, (round + 1) * DIGESTS) : others()
      const began = mainThreadMs(server.pid)
      const response = await fetch(`http://127.0.0.1:${server.port}/v1/files/lookup`, {
        method: 'POST',
        headers: { ...server.headers, 'content-type': 'application/json' },
        body: JSON.stringify({ sha256 }),
      })
      const { found } = (await response.json()) as { found: unknown[] }
      rounds.push(mainThreadMs(server.pid) - began)
      const expected = title.endsWith('there') ? sha256.length : 0
      if (found.length !== expected) throw new Error(`a lookup found ${found.length} of ${expected}`)
    }
  }
  return measured
}

/** Inserts rows for the first user. Each sort, and the id, gives another order. The rows have no blobs. Returns some digests. */
export async function fill(
  folder: string,
  rows: number,
  nameOf: (n: number) => string = randomName,
): Promise<string[]> {
  // A server does not start if its vault has files and no blobs, unless it is told that they are lost.
  mkdirSync(join(folder, 'uploads', 'lost'), { recursive: true })
  const database = new Database(join(dataFolder(folder), 'minikeepsafe.db'))
  const { id: owner } = database.prepare<[], { id: string }>('SELECT id FROM users ORDER BY created_at').get() as {
    id: string
  }
  const seal = await rowSeal(database, owner)
  const insert = database.prepare(
    `INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, taken_at, dated_at, version, ${seal.column}, tag, revision)
     VALUES (?, ?, ?, ?, 'image/jpeg', ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insertPart = database.prepare('INSERT INTO parts (version, start, size, blob) VALUES (?, 0, ?, ?)')
  // Rows are inserted in the order of the table, and indexes are created afterwards: this saves minutes for a million rows.
  const ids = Array.from({ length: rows }, () => nanoid()).sort()
  const indexes = database
    .prepare<[], { name: string; sql: string }>(
      `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'files' AND sql IS NOT NULL`,
    )
    .all()
  const digests: string[] = []
  const now = Date.now()
  database.pragma('journal_mode = DELETE')
  database.pragma('synchronous = OFF')
  database.transaction(() => {
    for (const { name } of indexes) database.exec(`DROP INDEX ${name}`)
    for (const [n, id] of ids.entries()) {
      const name = nameOf(n)
      const sizeBytes = randomInt(10_000_000)
      const createdAt = now - randomInt(YEAR_MS)
      const updatedAt = createdAt + randomInt(YEAR_MS)
      const takenAt = createdAt - randomInt(YEAR_MS)
      const { sealed, tag, sha256 } = seal.of({ id, sizeBytes })
      insert.run(id, owner, name, sizeBytes, createdAt, updatedAt, takenAt, takenAt, id, sealed, tag, n + 1)
      if (digests.length < MOST_ROUNDS * DIGESTS && n % 2 === 0) digests.push(sha256)
      insertPart.run(id, sizeBytes, `bench/${id}`)
    }
    for (const { sql } of indexes) database.exec(sql)
    database.exec(
      `UPDATE users SET (file_count, byte_count, revision) =
         (SELECT count(*), coalesce(sum(size), 0), coalesce(max(revision), 0) FROM files WHERE user_id = users.id)`,
    )
  })()
  database.close()
  return digests
}

function randomName(): string {
  return `${randomBytes(12).toString('hex')}.jpg`
}
