/** Measures the longest wait of one user while another user, who has very many files, sends requests, and during sweeps. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { Target, Waited } from './bystander-client.ts'
import { fill } from './listing.ts'
import { dataFolder, ourServer, type Server, signedIn } from './servers.ts'

const DAY_MS = 24 * 3600 * 1000
/** Each kind of request is repeated for so long. */
const REPEATED_MS = 500
/** A job of the sweeper that takes longer has failed. */
const SWEEP_MS = 600_000
/** Fewer than one network may have. */
const CROWD = 1000
/** Not counted: a compiler that learns. */
const WARM_UP = 3

export interface Block extends Waited {
  doing: string
}

type Request = (server: Server) => Promise<void>

/** The requests of the user with many files, in this order. Each is repeated. */
const requests: [doing: string, request: Request][] = [
  ['nothing', () => sleep(REPEATED_MS)],
  ...['name', 'createdAt', 'size'].map((sort): [string, Request] => [
    `list of 1,000 by ${sort}`,
    asking(`/v1/files?limit=1000&sort=${sort}`),
  ]),
  ['the same by prefix, all match', asking('/v1/files?limit=1000&sort=size&prefix=photo')],
  ['the same by prefix, none matches', asking('/v1/files?limit=1000&sort=size&prefix=none')],
  ['timeline', asking('/v1/timeline')],
  ['96 timelines at once', atOnce(96, asking('/v1/timeline'))],
  ['16 pages of changes at once', atOnce(16, asking('/v1/changes?limit=1000'))],
  ['upload beside all numbered names', uploading('?onConflict=rename')],
  [
    'GET /v1/me, /v1/sessions, /v1/activity',
    (server) => all(server, ['/v1/me', '/v1/sessions', '/v1/activity?limit=1000']),
  ],
  ['delete and restore under a number', deleteAndRestore],
  ['export, without an end', exportBriefly],
]

/** Not counted in the last measurements: a server that has just started compiles what it uses first. */
const warming: Request[] = [asking('/v1/me'), asking('/v1/files?limit=1000'), asking('/v1/trash?limit=1')]

/** Each once, in this order. */
const lastRequests: [doing: string, request: Request][] = [
  ['trash of 1,000', asking('/v1/trash?limit=1000')],
  ['DELETE /v1/trash', asking('/v1/trash', 'DELETE')],
  ['DELETE /v1/me', asking('/v1/me', 'DELETE')],
]

/** The jobs of a sweep, in its order: `prepare` makes work for the job, `pending` says whether some is left. */
const sweeps: [doing: string, prepare: (vault: Vault) => void, pending: (vault: Vault) => boolean][] = [
  [
    'sweep: sessions that are over',
    ({ db, some, owner }) =>
      db
        .prepare(
          `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
           INSERT INTO sessions (id, user_id, device_id, token_hash, pin_id, created_at, last_used_at, ended_at)
           SELECT 'old-' || i, ?, 'device-' || i, randomblob(32), 'pin-' || i, 0, 0, 0 FROM n`,
        )
        .run(some, owner),
    ({ db }) => db.prepare("SELECT 1 FROM sessions WHERE id >= 'old-' AND id < 'old.' LIMIT 1").get() !== undefined,
  ],
  [
    'sweep: old activity',
    ({ db, some, owner }) =>
      db
        .prepare(
          `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
           INSERT INTO activity (id, user_id, at, kind, address, user_agent)
           SELECT 'old-' || i, ?, i, 'export', '', '' FROM n`,
        )
        .run(some, owner),
    ({ db, some }) => db.prepare('SELECT 1 FROM activity WHERE at <= ? LIMIT 1').get(some) !== undefined,
  ],
  [
    'sweep: trash that is over',
    ({ db, owner, some }) => moveToTrash(db, owner, some, 1),
    ({ db }) => db.prepare('SELECT 1 FROM files WHERE deleted_at = 1 LIMIT 1').get() !== undefined,
  ],
  [
    'sweep: blobs that a crash left',
    ({ db, some, uploads }) => {
      db.prepare("INSERT INTO runs (id, started_at, ended) VALUES ('crashed', 0, 1)").run()
      mkdirSync(join(uploads, 'crashed'))
      for (let n = 0; n < some; n += 1) writeFileSync(join(uploads, 'crashed', `blob-${n}`), '')
    },
    ({ uploads }) => existsSync(join(uploads, 'crashed')),
  ],
  [
    'sweep: files without a tag',
    ({ db, some }) =>
      db
        .prepare('UPDATE files SET tag = NULL WHERE id IN (SELECT id FROM files WHERE deleted_at IS NULL LIMIT ?)')
        .run(some),
    ({ db }) => db.prepare('SELECT 1 FROM files WHERE tag IS NULL LIMIT 1').get() !== undefined,
  ],
]

interface Vault {
  db: Database.Database
  uploads: string
  owner: string
  /** A fifth of all files. */
  some: number
}

/** Answers as it goes: the whole takes minutes. */
export async function* bystanding(folder: string, rows: number): AsyncGenerator<Block> {
  const first = await ourServer(folder)
  const { authorization = '' } = await signedIn(first.port, 'bystander')
  await first.stop()
  await fill(folder, rows, (n) => (n === 0 ? 'photo.jpg' : `photo (${n}).jpg`))
  const bystander = watching(authorization)
  try {
    yield* onServer(async function* (server) {
      for (const [doing, request] of requests) {
        for (let n = 0; n < WARM_UP; n += 1) await request(server)
        await bystander.waited()
        const end = performance.now() + REPEATED_MS
        do await request(server)
        while (performance.now() < end)
        yield { doing, ...(await bystander.waited()) }
      }
    })
    yield* onServer(async function* ({ port, pid }) {
      for (let n = 0; n < WARM_UP; n += 1) await crowd(port)
      bystander.watch({ port, pid, isNewEachTime: true })
      await crowd(port)
      yield { doing: '1,000 new connections at once', ...(await bystander.waited()) }
    })
    yield* onServer(async function* () {
      await sleep(2 * REPEATED_MS)
      yield { doing: 'a server that has just started', ...(await bystander.waited()) }
    })
    onDatabase((vault) => {
      for (const [, prepare] of sweeps) prepare(vault)
    })
    yield* onServer(async function* () {
      for (const [doing, , pending] of sweeps) {
        const deadline = performance.now() + SWEEP_MS
        while (onDatabase(pending)) {
          if (performance.now() > deadline) throw new Error(`"${doing}" did not end`)
          await sleep(50)
        }
        yield { doing, ...(await bystander.waited()) }
      }
    })
    onDatabase(({ db, owner, some }) => moveToTrash(db, owner, 2 * some, Date.now() - DAY_MS))
    yield* onServer(async function* (server) {
      for (const request of warming) for (let n = 0; n < WARM_UP; n += 1) await request(server)
      for (const [doing, request] of lastRequests) {
        await bystander.waited()
        await request(server)
        yield { doing, ...(await bystander.waited()) }
      }
    })
  } finally {
    bystander.stop()
  }

  async function* onServer(act: (server: Server) => AsyncGenerator<Block>): AsyncGenerator<Block> {
    const server = await ourServer(folder, first.headers)
    try {
      bystander.watch({ port: server.port, pid: server.pid })
      yield* act(server)
    } finally {
      bystander.watch(null)
      await server.stop()
    }
  }

  /** Open for a moment only: a server that finds a log at its start checks the whole database. */
  function onDatabase<T>(act: (vault: Vault) => T): T {
    const db = new Database(join(dataFolder(folder), 'minikeepsafe.db'))
    try {
      const owner = db.prepare<[], string>("SELECT id FROM users WHERE email LIKE 'bench@%'").pluck().get() as string
      return act({ db, owner, uploads: join(folder, 'uploads'), some: Math.ceil(rows / 5) })
    } finally {
      db.close()
    }
  }
}

/** As DELETE does it, the user's counts included. */
function moveToTrash(db: Database.Database, owner: string, files: number, deletedAt: number): void {
  db.transaction(() => {
    const moved = db
      .prepare('UPDATE files SET deleted_at = ? WHERE id IN (SELECT id FROM files WHERE deleted_at IS NULL LIMIT ?)')
      .run(deletedAt, files).changes
    db.prepare(
      'UPDATE users SET file_count = file_count - :moved, trash_count = trash_count + :moved WHERE id = :owner',
    ).run({ moved, owner })
  })()
}

function watching(authorization: string) {
  const script = join(import.meta.dirname, 'bystander-client.ts')
  const child = fork(script, [authorization], { execArgv: ['--import', 'tsx'] })
  return {
    watch: (target: Target | null) => void child.send(target as Target),
    async waited(): Promise<Waited> {
      const answer = once(child, 'message')
      child.send('waited')
      return ((await answer) as [Waited])[0]
    },
    stop: () => child.disconnect(),
  }
}

/** New connections of another address at the same time, each with 16 requests for the script of the page. */
async function crowd(port: number): Promise<void> {
  const page = await (await fetch(`http://127.0.0.1:${port}/`)).text()
  const [script = '/'] = /\/assets\/[^"]+\.js/.exec(page) ?? []
  const requests = `GET ${script} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(16)
  await Promise.all(
    Array.from({ length: CROWD }, async () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
      socket.on('error', () => {}).resume()
      socket.write(requests)
      await once(socket, 'close')
    }),
  )
}

function asking(path: string, method = 'GET'): Request {
  return async (server) => void (await call(server, method, path))
}

function atOnce(count: number, request: Request): Request {
  return async (server) => void (await Promise.all(Array.from({ length: count }, () => request(server))))
}

async function all(server: Server, paths: string[]): Promise<void> {
  for (const path of paths) await call(server, 'GET', path)
}

function uploading(query: string): Request {
  return async (server) => void (await upload(server, query))
}

async function upload(server: Server, query: string) {
  const body = new FormData()
  body.set('file', new Blob([String(Math.random())]), 'photo.jpg')
  return call(server, 'POST', `/v1/files${query}`, body)
}

async function deleteAndRestore(server: Server): Promise<void> {
  await upload(server, '?onConflict=rename')
  await call(server, 'DELETE', '/v1/files/photo.jpg')
  const trash = (await (await call(server, 'GET', '/v1/trash?limit=1')).json()) as { files: { id: string }[] }
  await upload(server, '')
  await call(server, 'POST', `/v1/trash/${trash.files[0]?.id}/restore?onConflict=rename`)
}

/** There are no blobs: an export looks for each in vain. */
async function exportBriefly({ port, headers }: Server): Promise<void> {
  const signal = AbortSignal.timeout(REPEATED_MS)
  const response = await fetch(`http://127.0.0.1:${port}/v1/me/export`, { headers, signal }).catch(() => null)
  await response?.arrayBuffer().catch(() => {})
}

async function call({ port, headers }: Server, method: string, path: string, body?: FormData): Promise<Response> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...(body && { body }) })
  if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}`)
  return response.status === 204 ? response : new Response(await response.arrayBuffer(), response)
}
