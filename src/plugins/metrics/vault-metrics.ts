/** Measures what happens in the vault, and asks for its figures. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { DamageFinder, PinEvent, VaultEvent } from '../../vault/events.ts'
import type { Vault } from '../../vault/vault.ts'
import { type Attempt, attempts, cached } from './figures.ts'

const PIN_EVENTS: PinEvent[] = ['issued', 'right', 'wrong', 'none', 'paused']
const DAMAGE_FINDERS: DamageFinder[] = ['request', 'scrubber']
const READ_BACKS = ['opened', 'damaged', 'gone'] as const

/** Several metrics of one scrape share one question to an engine. */
const SHARED_MS = 500

export function measureVault(vault: Vault, registry: Registry, figuresMs: number): void {
  const registers = [registry]
  measureEvents(vault, registers)
  const errors = new Counter({
    name: 'minikeepsafe_scrape_errors_total',
    help: 'Figures that could not be had. They are absent from that scrape.',
    registers,
  })
  const attempt = attempts(() => errors.inc())
  // In this order: otherwise the questions to the database would be seen as its load.
  measureEngines(vault, registers, attempt)
  measureContents(vault, registers, attempt, figuresMs)
}

function measureEvents(vault: Vault, registers: Registry[]): void {
  const pins = new Counter({
    name: 'minikeepsafe_pins_total',
    help: 'PINs that were issued, and what became of those that were entered.',
    labelNames: ['event'],
    registers,
  })
  const damages = new Counter({
    name: 'minikeepsafe_damaged_reads_total',
    help: 'Reads that found stored data damaged, by who read: a request or the scrubber.',
    labelNames: ['found'],
    registers,
  })
  const readBacks = new Counter({
    name: 'minikeepsafe_scrubber_files_total',
    help: 'Files that the scrubber has read back.',
    labelNames: ['outcome'],
    registers,
  })
  const readBackBytes = new Counter({
    name: 'minikeepsafe_scrubber_read_bytes_total',
    help: 'The sizes of the files that the scrubber has read back.',
    registers,
  })
  const sweptAt = new Gauge({
    name: 'minikeepsafe_sweeper_last_round_timestamp_seconds',
    help: 'When this process last finished a round of sweeping.',
    registers,
  })
  sweptAt.remove()
  const sweepTime = new Gauge({
    name: 'minikeepsafe_sweeper_last_round_duration_seconds',
    help: 'How long that round took.',
    registers,
  })
  sweepTime.remove()
  const failures = new Counter({
    name: 'minikeepsafe_background_failures_total',
    help: 'Errors of work that no request waits for, and of readiness checks. The log has each of them.',
    labelNames: ['work'],
    registers,
  })
  // A series that begins with its first event shows no increase.
  for (const event of PIN_EVENTS) pins.inc({ event }, 0)
  for (const found of DAMAGE_FINDERS) damages.inc({ found }, 0)
  for (const outcome of READ_BACKS) readBacks.inc({ outcome }, 0)

  vault.observe((event: VaultEvent) => {
    switch (event.kind) {
      case 'pin':
        return pins.inc({ event: event.event })
      case 'damage':
        return damages.inc({ found: event.found })
      case 'read-back':
        readBacks.inc({ outcome: event.outcome })
        return readBackBytes.inc(event.sizeBytes)
      case 'swept':
        sweptAt.set(event.at / 1000)
        return sweepTime.set(event.ms / 1000)
      case 'failure':
        return failures.inc({ work: event.work })
    }
  })
}

/** Each question is asked at most once in `figuresMs`. */
function measureContents({ figures, rules }: Vault, registers: Registry[], attempt: Attempt, figuresMs: number): void {
  const gauge = (name: string, help: string, read: () => Promise<number | null>) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const value = await attempt(read)
        if (value === null) this.remove()
        else this.set(value)
      },
    })
  const inSeconds = (read: () => Promise<number | null>) => async () => {
    const ms = await read()
    return ms === null ? null : ms / 1000
  }

  gauge(
    'minikeepsafe_sessions',
    'Sessions that were not ended, counted up to 100,000.',
    cached(figures.sessions, figuresMs),
  )
  const stored = cached(figures.stored, figuresMs)
  gauge('minikeepsafe_stored_files', 'Files of all users, without the trash.', async () => (await stored()).files)
  gauge('minikeepsafe_stored_trash_files', 'Files in the trash of all users.', async () => (await stored()).trashFiles)
  gauge(
    'minikeepsafe_stored_bytes',
    'Bytes of all users, as the quota counts them.',
    async () => (await stored()).bytes,
  )
  gauge(
    'minikeepsafe_oldest_unverified_timestamp_seconds',
    'When the file that has waited longest was last read back, or stored if it never was.',
    cached(inSeconds(figures.unverifiedSince), figuresMs),
  )
  gauge(
    'minikeepsafe_last_backup_timestamp_seconds',
    'When the last backup copied the database.',
    cached(inSeconds(figures.lastBackupAt), figuresMs),
  )
  if (rules.scrubMs > 0 && !rules.readOnly) {
    new Gauge({
      name: 'minikeepsafe_scrubber_period_seconds',
      help: 'The time within which every file is read back (SCRUB_DAYS).',
      registers,
    }).set(rules.scrubMs / 1000)
  }
}

function measureEngines({ figures }: Vault, registers: Registry[], attempt: Attempt): void {
  const database = cached(figures.database, SHARED_MS)
  const file = new Gauge({
    name: 'minikeepsafe_sqlite_bytes',
    help: 'The bytes of the SQLite database in use (used) and free for new rows (free), and those of its write-ahead log (wal).',
    labelNames: ['part'],
    registers,
    async collect() {
      const found = (await attempt(database))?.file
      file.reset()
      if (!found) return
      file.set({ part: 'used' }, found.bytes - found.freeBytes)
      file.set({ part: 'free' }, found.freeBytes)
      file.set({ part: 'wal' }, found.logBytes)
    },
  })
  const pool = new Gauge({
    name: 'minikeepsafe_postgres_connections',
    help: 'Connections to PostgreSQL, by whether a transaction uses them.',
    labelNames: ['state'],
    registers,
    async collect() {
      const found = (await attempt(database))?.pool
      pool.reset()
      if (!found) return
      pool.set({ state: 'busy' }, found.connections - found.idle)
      pool.set({ state: 'idle' }, found.idle)
    },
  })
  new Gauge({
    name: 'minikeepsafe_postgres_waiting_transactions',
    help: 'Transactions that wait for a connection to PostgreSQL.',
    registers,
    async collect() {
      const found = (await attempt(database))?.pool
      if (found) this.set(found.waiting)
      else this.remove()
    },
  })
  const disks = Object.entries(figures.disks).map(([folder, read]) => ({ folder, read: cached(read, SHARED_MS) }))
  const disk = (name: string, help: string, of: 'sizeBytes' | 'freeBytes') =>
    new Gauge({
      name,
      help,
      labelNames: ['folder'],
      registers,
      async collect() {
        const spaces = await Promise.all(disks.map(({ read }) => attempt(read)))
        for (const [n, { folder }] of disks.entries()) {
          const space = spaces[n]
          if (space) this.set({ folder }, space[of])
          else this.remove({ folder })
        }
      },
    })
  disk('minikeepsafe_disk_bytes', 'The size of the file system of DATA_DIR and of UPLOADS_DIR.', 'sizeBytes')
  disk('minikeepsafe_disk_free_bytes', 'The bytes of it that the server can still write.', 'freeBytes')
}
