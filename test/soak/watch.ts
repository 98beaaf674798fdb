/** Watches the server processes: their logs, memory and open files. */
import { readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { ServerProcess } from '../support/process.ts'
import type { Journal } from './journal.ts'
import type { Outages } from './outages.ts'
import { MARKS } from './settings.ts'
import type { Fleet } from './shape.ts'

const MiB = 1024 * 1024
/** Less than an error stays excused after an outage. */
const READ_EVERY_MS = 1000
const ERROR_LEVEL = 50
/** The last ones are kept. */
const MOST_ERRORS = 1000
/** Names, mail addresses, devices and tokens. */
const SECRETS = new RegExp(`${Object.values(MARKS).join('|')}|mks_|"pin":"?\\d{4}`)
/** Days pass in minutes, so nothing can be read back in time. */
const OF_THE_CLOCK = /reading all files back within SCRUB_DAYS failed/
/** What a process may have more late than early: memory in parts and bytes, and open files. Pools may be filled more or less. */
const TOLERANCE = { part: 0.25, bytes: 64 * MiB, files: 24 }
/** The first sample of a process is from its start, when nothing is compiled and no pool is filled. */
const EARLY = 1
const SETTLE_MS = 3000

export interface Sample {
  memory: number
  files: number
}

export function watch(fleet: Fleet, journal: Journal, outages: Outages) {
  const read = new Map<ServerProcess, number>()
  const samples = new Map<ServerProcess, Sample[]>()
  const errors: string[] = []
  const timer = setInterval(readLogs, READ_EVERY_MS)

  return {
    /** When no phone is connected. Returns the most of a server. */
    async sample(): Promise<Sample> {
      for (const server of fleet.servers) {
        const sample = { memory: server.memory().now, files: await settledFiles(server.pid) }
        samples.set(server, [...(samples.get(server) ?? []), sample])
      }
      const last = fleet.servers.map((server) => samples.get(server)?.at(-1) as Sample)
      return {
        memory: Math.max(...last.map(({ memory }) => memory)),
        files: Math.max(...last.map(({ files }) => files)),
      }
    },

    /** Compares the early sample of each process with its last one. Returns the number of processes that had both. */
    compare(): number {
      let compared = 0
      for (const list of samples.values()) {
        const [early, late] = [list[EARLY], list.at(-1)]
        if (!early || !late || early === late) continue
        compared += 1
        if (late.memory > early.memory * (1 + TOLERANCE.part) + TOLERANCE.bytes)
          journal.violation(
            `memory grew from ${Math.round(early.memory / MiB)} to ${Math.round(late.memory / MiB)} MiB`,
          )
        if (late.files > early.files + TOLERANCE.files)
          journal.violation(`open files grew from ${early.files} to ${late.files}`)
      }
      return compared
    },

    /** Log lines about the requests that the texts name. */
    reasonsOf: (texts: string[]) =>
      texts
        .flatMap((text) => /request ([\w.-]+)/.exec(text)?.[1] ?? [])
        .flatMap((id) => errors.filter((line) => line.includes(id))),

    stop() {
      clearInterval(timer)
      readLogs()
    },
  }

  function readLogs() {
    const isCalm = outages.isCalm()
    for (const server of fleet.all) {
      const output = server.output()
      const from = read.get(server) ?? 0
      const to = output.lastIndexOf('\n') + 1
      if (to <= from) continue
      read.set(server, to)
      for (const line of output.slice(from, to).split('\n')) judge(line, isCalm)
    }
  }

  function judge(line: string, isCalm: boolean) {
    const level = Number(/"level":(\d+)/.exec(line)?.[1] ?? 0)
    if (level >= ERROR_LEVEL) errors.push(line)
    if (errors.length > MOST_ERRORS) errors.shift()
    if (SECRETS.test(line)) journal.violation(`the log has a secret: ${line}`)
    const isExcused = !isCalm || OF_THE_CLOCK.test(line)
    if (level >= ERROR_LEVEL && !isExcused) journal.violation(`the log, without an outage: ${line.slice(0, 1500)}`)
  }
}

/** Files are still being closed after the last connection. */
async function settledFiles(pid: number): Promise<number> {
  const until = performance.now() + SETTLE_MS
  for (let before = filesOf(pid); ; ) {
    await pause(300)
    const now = filesOf(pid)
    if (now === before || performance.now() > until) return now
    before = now
  }
}

const filesOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length
