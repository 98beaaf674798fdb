/** What a command of the operator's is. It neither prints nor ends the process: `cli.ts` does. */
import type { ParseArgsConfig } from 'node:util'
import { composeBeside } from '../compose/beside.ts'
import { rulesOf } from '../compose/rules.ts'
import type { Config } from '../config/config.ts'
import type { CommandPorts } from '../ports/operator.ts'
import { cryptographicChance } from '../vault/crypto/secrets.ts'
import type { Lacking } from '../vault/operator/backup.ts'
import { type OperatorsVault, openOperatorsVault } from '../vault/operator/operator.ts'

export interface Command {
  /** One line for the list of all commands. */
  summary: string
  /** The names of what stands after the command: all of them must be given. */
  operands: string[]
  options: NonNullable<ParseArgsConfig['options']>
  /** For each option that takes a value and may be left out, what stands for that value in the usage line. */
  optional?: Record<string, string>
  /** Changes the vault, so it is refused where nothing may be changed. */
  changes?: true
  /** What `--help` says after the usage line. */
  help: string
  run(call: Call): Promise<Outcome>
}

export interface Call {
  config: Config
  operands: string[]
  options: Record<string, unknown>
  /** Shows how far long work has come, where somebody is watching. */
  progress(total: number): (done: number) => void
  /** Asks the person at the terminal; `null` where there is none. */
  confirm(question: string): Promise<boolean | null>
}

export interface Outcome {
  /** Whether all is well: the exit code is 0 or 1. */
  ok: boolean
  /** For a program: one JSON document. */
  report: object
  /** For a person. */
  lines: string[]
}

/** The command was not called as it wants to be. */
export class UsageError extends Error {}

/** Opens the engines beside a server that may be running, and lets go of them. */
export async function withPorts<T>(config: Config, act: (ports: CommandPorts) => Promise<T>): Promise<T> {
  const alarms: Error[] = []
  const ports = await composeBeside(config, Date.now, cryptographicChance, (cause, doing) => {
    alarms.push(new Error(`${doing} failed: ${(cause as Error).message}`, { cause }))
  })
  try {
    const answer = await act(ports)
    if (alarms[0]) throw alarms[0]
    return answer
  } finally {
    await ports.close()
  }
}

export function withVault<T>(
  config: Config,
  act: (vault: OperatorsVault, ports: CommandPorts) => Promise<T>,
): Promise<T> {
  return withPorts(config, (ports) => act(openOperatorsVault(ports, rulesOf(config)), ports))
}

export function lackingLines(lacking: Lacking[]): string[] {
  return lacking.map(({ file, blob, why }) =>
    why === 'missing'
      ? `missing: file ${file}: its blob ${blob} is not there`
      : `damaged: file ${file}: its blob ${blob} has another length`,
  )
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
