/**
 * The interface of the operator's commands. A command prints nothing but lines for an audit, and does not end the process: `cli.ts`
 * does both.
 */
import type { ParseArgsConfig } from 'node:util'
import { auditTo } from '../compose/audit.ts'
import { composeBeside } from '../compose/beside.ts'
import { rulesOf } from '../compose/rules.ts'
import type { Config } from '../config/config.ts'
import type { CommandPorts, Subject } from '../ports/operator.ts'
import { cryptographicChance } from '../vault/crypto/secrets.ts'
import type { Lacking } from '../vault/operator/backup.ts'
import { OPERATOR, type OperatorsVault, openOperatorsVault } from '../vault/operator/operator.ts'

export interface Command {
  /** One line for the list of all commands. */
  summary: string
  /** The names of the operands. All of them are required. */
  operands: string[]
  options: NonNullable<ParseArgsConfig['options']>
  /** For each optional option with a value, the placeholder of the value in the usage line. */
  optional?: Record<string, string>
  /** The command changes the vault, so it is refused with READ_ONLY=on. */
  changes?: true
  /** The text that `--help` prints after the usage line. */
  help: string
  run(call: Call): Promise<Outcome>
}

export interface Call {
  config: Config
  operands: string[]
  options: Record<string, unknown>
  /** Shows the progress of long work on a terminal. */
  progress(total: number): (done: number) => void
  /** Asks the person at the terminal; `null` without a terminal. */
  confirm(question: string): Promise<boolean | null>
}

export interface Outcome {
  /** Success: the exit code is 0, else 1. */
  ok: boolean
  /** For a program: one JSON document. */
  report: object
  /** For a person. */
  lines: string[]
}

/** The command was called with wrong arguments. */
export class UsageError extends Error {}

/** The audit of a command. Its log has no addresses of clients. */
const audit = auditTo(printAudit, false)

/** Logs an event of the whole vault for an audit. */
export function auditVault(event: 'vault-moved' | 'vault-restored'): void {
  audit(event, { caller: OPERATOR })
}

/** Opens the engines, runs `work`, and closes them. A server may be running at the same time. */
export async function withPorts<T>(config: Config, work: (ports: CommandPorts) => Promise<T>): Promise<T> {
  const alarms: Error[] = []
  const ports = await composeBeside(config, Date.now, cryptographicChance, {
    alarm: (cause, doing) => {
      alarms.push(new Error(`${doing} failed: ${(cause as Error).message}`, { cause }))
    },
    audit,
  })
  try {
    const result = await work(ports)
    if (alarms[0]) throw alarms[0]
    return result
  } finally {
    await ports.close()
  }
}

/** In the form of the server's log, on standard error. At a terminal the outcome of the command says the same. */
function printAudit(fields: object, msg: string): void {
  if (process.stderr.isTTY) return
  process.stderr.write(`${JSON.stringify({ level: 30, time: Date.now(), ...fields, msg })}\n`)
}

export function withVault<T>(
  config: Config,
  work: (vault: OperatorsVault, ports: CommandPorts) => Promise<T>,
): Promise<T> {
  return withPorts(config, (ports) => work(openOperatorsVault(ports, rulesOf(config)), ports))
}

export function lackingLines(lacking: Lacking[]): string[] {
  return lacking.map(({ blob, why, ...subject }) =>
    why === 'missing'
      ? `missing: ${subjectText(subject)}: its blob ${blob} is not there`
      : `damaged: ${subjectText(subject)}: its blob ${blob} has another length`,
  )
}

export function subjectText(subject: Subject): string {
  return 'file' in subject ? `file ${subject.file}` : `upload ${subject.upload} of user ${subject.user}`
}

/** `2 files`, or `2 files and 1 unfinished upload`. */
export function contentsText({ files, uploads }: { files: number; uploads: number }): string {
  return counted(files, 'file') + (uploads > 0 ? ` and ${counted(uploads, 'unfinished upload')}` : '')
}

/** `1 file`, `2 files`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return power === 0 ? counted(bytes, 'byte') : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`
}
