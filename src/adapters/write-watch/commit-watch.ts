/** Notices a database that answers reads and takes no commits. */
import type { DatabaseEngine } from '../../ports/database.ts'
import { isFull, openProbe } from './probe.ts'

/** Readiness checks commit at most once in this time. */
const FRESH_MS = 1000
/** A database whose commits can hang is probed without checks, too. */
const EVERY_MS = 10_000

/**
 * Adds a commit to the check of the database. While commits hang, uploads and other writes are refused at once with the code
 * `EAGAIN`. An engine without a probe stays as it is.
 */
export function watchCommits(engine: DatabaseEngine): DatabaseEngine {
  const { probe: commit, pauseWrites } = engine
  if (!commit) return engine
  const { probe, refuse, stop } = openProbe(commit, hung, pauseWrites)
  const { database, space } = engine.checks
  const timer = pauseWrites && setInterval(() => probe(FRESH_MS).catch(() => {}), EVERY_MS).unref()
  return {
    ...engine,
    checks: {
      ...engine.checks,
      async database() {
        await database?.()
        await probe(FRESH_MS).catch((error) => {
          if (!(space && isFull(error))) throw error
        })
      },
      ...(space && {
        async space() {
          // The commit may need the reserve.
          await probe(FRESH_MS).catch(() => {})
          await space()
        },
      }),
    },

    async room() {
      refuse()
      await engine.room()
    },

    async close() {
      if (timer) clearInterval(timer)
      stop()
      await engine.close()
    },
  }
}

function hung(limitMs: number): Error {
  return Object.assign(new Error(`the database takes no commits: one took more than ${limitMs} ms`), { code: 'EAGAIN' })
}
