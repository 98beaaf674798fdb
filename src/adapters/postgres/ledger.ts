import type { BlobLedger } from '../../ports/blobs.ts'
import type { Database } from './database.ts'

/** The interval of a run's heartbeats, which are times of the database's clock. */
const BEAT_MS = 10_000
/** A run that was silent for this long, several heartbeats, is over. */
const SILENCE_MS = 60_000
/** The limit for asking the database for the lock of `takeTurn`. */
const TURN_LIMIT_MS = 10_000
/** An expired hold is kept for this time, so that its renewal is not taken for a new hold. */
const DAY_MS = 24 * 60 * 60 * 1000

interface Rhythm {
  beatMs: number
  silenceMs: number
}

export interface PostgresLedger extends BlobLedger {
  /** Sends a heartbeat of the runs that this process opened. It settles when the database has committed it. */
  beat(): Promise<void>
  /** Ends the runs that this process opened. */
  close(): Promise<void>
}

const RHYTHM: Rhythm = { beatMs: BEAT_MS, silenceMs: SILENCE_MS }

export function postgresLedger(
  { ask, askOn, call, alone }: Pick<Database, 'ask' | 'askOn' | 'call' | 'alone'>,
  { beatMs, silenceMs } = RHYTHM,
): PostgresLedger {
  const own = new Set<string>()
  let timer: NodeJS.Timeout | null = null
  let beating: Promise<void> | null = null

  return {
    async openRun(run, at, keyIds) {
      const open = 'INSERT INTO runs (id, started_at, key_ids) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING'
      await ask(open, [run, at, keyIds])
      own.add(run)
      timer ??= setInterval(() => beat().catch(() => {}), beatMs).unref()
    },

    async goesOn(run) {
      return (await ask('SELECT FROM runs WHERE id = $1 AND NOT ended', [run])).length === 1
    },

    async endedRuns(run) {
      const rows = await call<{ run: string }>('ended_runs', { mine: run, silent_for: `${silenceMs} ms` })
      return rows.map(({ run }) => run)
    },

    livingRuns: () =>
      ask<{ run: string; keyIds: string[] }>('SELECT id AS run, key_ids AS "keyIds" FROM runs WHERE NOT ended'),

    named: (blobs) => blobsOf('SELECT blob FROM parts WHERE blob = ANY ($1)', [blobs]),

    async renounce(blobs) {
      const rows = await call<{ unnamed: string }>('renounce_blobs', { blobs })
      return rows.map(({ unnamed }) => unnamed)
    },

    async forgetRun(run) {
      await ask(
        `WITH gone AS (DELETE FROM runs WHERE id = $1 AND ended RETURNING id)
         DELETE FROM renounced WHERE run IN (SELECT id FROM gone)`,
        [run],
      )
    },

    garbage: (limit, versions) =>
      blobsOf(
        `SELECT blob FROM garbage JOIN parts USING (version) WHERE $2::text[] IS NULL OR version = ANY ($2)
         ORDER BY position, start LIMIT $1`,
        [limit, versions ?? null],
      ),

    async forgetGarbage(blobs) {
      await call('forget_garbage', { blobs })
    },

    async hold(id, now, until) {
      // An expired hold is not renewed: blobs may have been deleted since.
      const rows = await ask(
        `WITH forgotten AS (DELETE FROM holds WHERE until <= $4 AND id <> $1)
         INSERT INTO holds (id, until) VALUES ($1, $3)
         ON CONFLICT (id) DO UPDATE SET until = $3 WHERE holds.until > $2 RETURNING 1`,
        [id, now, until, now - DAY_MS],
      )
      return rows.length === 1
    },

    async release(id) {
      await ask('DELETE FROM holds WHERE id = $1', [id])
    },

    async held(now) {
      return (await ask('SELECT FROM holds WHERE until > $1 LIMIT 1', [now])).length === 1
    },

    async recordBackup(at) {
      await ask('INSERT INTO last_backup (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = $1', [at])
    },

    async lastBackupAt() {
      return (await ask<{ at: number }>('SELECT at FROM last_backup'))[0]?.at ?? null
    },

    /** A lock of a separate connection: it is released if the process dies or is cut off. */
    takeTurn: (work, kind = 'sweeping') =>
      alone(async (ask) => {
        const lock = kind === 'sweeping' ? 'turn ' : `turn of ${kind} `
        const [turn] = await ask<{ mine: boolean }>(
          'SELECT pg_try_advisory_lock(hashtextextended($1 || current_schema(), 0)) AS mine',
          [lock],
        )
        if (turn?.mine) await work()
        return turn?.mine === true
      }, TURN_LIMIT_MS),

    beat,

    async close() {
      if (timer) clearInterval(timer)
      // If this fails, other processes see that the runs are silent.
      await call('end_runs', { ids: [...own], silent_for: '0' }).catch(() => {})
    },
  }

  /**
   * One at a time: where commits hang, each would occupy a connection of the database for as long. A failed heartbeat is followed by
   * the next one, and requests log the cause.
   */
  function beat(): Promise<void> {
    beating ??= askOn('UPDATE runs SET beat_at = now() WHERE id = ANY ($1) AND NOT ended', [[...own]]).finally(() => {
      beating = null
    })
    return beating
  }

  async function blobsOf(text: string, values: unknown[]): Promise<string[]> {
    return (await ask<{ blob: string }>(text, values)).map(({ blob }) => blob)
  }
}

/** For a process beside the servers, which may be the only process: it ends silent runs before it reads the living ones. */
export function postgresLedgerBeside(
  db: Pick<Database, 'ask' | 'askOn' | 'call' | 'alone'>,
  rhythm = RHYTHM,
): BlobLedger {
  const ledger = postgresLedger(db, rhythm)
  return {
    ...ledger,

    async livingRuns() {
      await ledger.endedRuns(null)
      return ledger.livingRuns()
    },
  }
}
