#!/usr/bin/env node
/** Runs the server, or one of the operator's commands: prints its outcome, and exits with 0, 1 or 2. */
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { type Call, type Command, type Outcome, UsageError } from './commands/command.ts'
import { commands } from './commands/commands.ts'
import { progressBar } from './commands/progress.ts'
import { readConfig, readEnvFile } from './config/config.ts'
import { VERSION } from './version.ts'

/** No argument of a process contains it. */
const MASK = '\0'
const SERVE = 'serve'
const SERVE_HELP = `usage: minikeepsafe ${SERVE}

Runs the server in the foreground, with the settings in .env of this folder and in the environment. Relative folders, such as the
defaults ./data and ./uploads, start in this folder. SIGTERM or SIGINT stops it.`
const PARENT_INTERVAL_MS = 200
const EXIT_OK = 0
const EXIT_FAILED = 1
const EXIT_USAGE = 2

const COMMON = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  if (args.length === 1 && args[0] === SERVE) return serve()
  // Not beside the server, which writes its log there.
  process.stdout.on('error', outputFailed)
  // Progress and audit lines. If nothing reads them, the command still does its work, and prints its result.
  process.stderr.on('error', () => {})
  const json = args.includes('--json')
  try {
    const found = commandIn(args)
    if (!found && args.includes('--version')) return print(json ? document({ version: VERSION }) : VERSION)
    if (!found && args[0] === SERVE) return helpWithServing(args)
    if (!found) return help(args)
    const { values, positionals } = parse(found.rest, found.command)
    if (values.help) return print(helpOf(found.name, found.command))
    if (positionals.length !== found.command.operands.length) {
      throw new UsageError(`usage: ${usageOf(found.name, found.command)}`)
    }
    const outcome = await run(found.command, positionals, values)
    print(json ? document(outcome.report) : outcome.lines.map((line) => visible(line, '')).join('\n'))
    return outcome.ok ? EXIT_OK : EXIT_FAILED
  } catch (error) {
    const { message } = error as Error
    if (json) print(document({ ok: false, error: message }))
    process.stderr.write(`minikeepsafe: ${visible(message, '\n')}\n`)
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED
  }
}

/** Starts the server in this process. From then on its log, its signals and its exit codes are those of `server.ts`. */
async function serve(): Promise<number> {
  if (process.env.npm_command === 'exec') stopWithParent(process.ppid)
  await import('./server.ts')
  return EXIT_OK
}

/** npx sends a signal only to its shell, which ends without sending it on. So the end of that shell counts as the signal. */
function stopWithParent(parent: number) {
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, 'SIGTERM')
  }, PARENT_INTERVAL_MS)
  watch.unref()
}

/** EPIPE is no failure: the reader, such as head, has closed the pipe. Other errors, such as a full disk, are. */
function outputFailed(error: NodeJS.ErrnoException) {
  if (error.code === 'EPIPE') return
  process.stderr.write(`minikeepsafe: ${error.message}\n`)
  process.exitCode = EXIT_FAILED
}

/** A command's name may be two words. */
function commandIn(args: string[]): { name: string; command: Command; rest: string[] } | null {
  const words = args.filter((word) => !word.startsWith('-'))
  const name = [words.slice(0, 2).join(' '), words[0] ?? ''].find((candidate) => Object.hasOwn(commands, candidate))
  if (name === undefined) return null
  const rest = [...args]
  for (const word of name.split(' ')) rest.splice(rest.indexOf(word), 1)
  return { name, command: commands[name] as Command, rest }
}

function parse(args: string[], command: Command) {
  // The id of a user or of a device may begin with a hyphen, as an option does.
  const masked = args.map((word) => (/^-[\w][\w-]{19}$/.test(word) ? MASK + word : word))
  try {
    const options = { ...COMMON, ...command.options }
    const { values, positionals } = parseArgs({ args: masked, options, allowPositionals: true })
    return { values, positionals: positionals.map((word) => word.replace(MASK, '')) }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** Reads the settings in the same way as the server. */
async function run(command: Command, operands: string[], options: Record<string, unknown>): Promise<Outcome> {
  const config = readConfig({ ...readEnvFile('.env'), ...process.env })
  if (command.changes && config.READ_ONLY === 'on') {
    throw new Error('READ_ONLY is on, and this command would change the vault')
  }
  let clear = () => {}
  const progress: Call['progress'] = (total) => {
    const bar = progressBar(process.stderr, total)
    clear = bar.clear
    return bar.add
  }
  try {
    return await command.run({ config, operands, options, progress, confirm })
  } finally {
    clear()
  }
}

async function confirm(question: string): Promise<boolean | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim())
  } finally {
    terminal.close()
  }
}

function helpWithServing(args: string[]): number {
  if (args.includes('--help') || args.includes('-h')) return print(SERVE_HELP)
  throw new UsageError(`usage: minikeepsafe ${SERVE}`)
}

function help(args: string[]): number {
  const { length } = args.filter((arg) => arg !== '--json')
  const wantsHelp = args.includes('--help') || args.includes('-h')
  if (length === 0 || !wantsHelp || args.some((arg) => !arg.startsWith('-'))) {
    throw new UsageError(length === 0 ? overview() : 'there is no such command; see minikeepsafe --help')
  }
  return print(overview())
}

function overview(): string {
  const usages = [
    [`minikeepsafe ${SERVE}`, 'run the server, until a signal'] as const,
    ...Object.entries(commands).map(([name, command]) => [usageOf(name, command), command.summary] as const),
  ]
  const width = Math.max(...usages.map(([usage]) => usage.length))
  return [
    "The server minikeepsafe, and its operator's commands. All use the same settings: .env in this folder, and the environment.",
    '',
    ...usages.map(([usage, summary]) => `  ${usage.padEnd(width)}  ${summary}`),
    '',
    '  --json  prints one JSON document instead of text',
    '  --help  after a command: what it does',
    '  --version  instead of a command: the version of this program',
    '',
    'Exit code: 0 for success, 1 for a problem found or an error, 2 for wrong usage.',
    'All commands except restore can run while the server runs. See docs/operating.md.',
  ].join('\n')
}

function usageOf(name: string, { operands, options, optional = {} }: Command): string {
  const flags = Object.entries(options).map(([name, { type }]) => {
    if (optional[name]) return `[--${name} ${optional[name]}]`
    return type === 'string' ? `--${name} FILE` : `[--${name}]`
  })
  return ['minikeepsafe', name, ...operands, ...flags].join(' ')
}

function helpOf(name: string, command: Command): string {
  return `usage: ${usageOf(name, command)} [--json]\n\n${command.help}`
}

/**
 * Shows control characters as `\u{…}`, but those in `kept`. The ids in a backup are what its keeper wrote there, and a terminal would
 * obey them.
 */
function visible(text: string, kept: string): string {
  return text.replace(/\p{C}/gu, (character) =>
    kept.includes(character) ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}

/** JSON without control characters: `JSON.stringify` escapes only those below U+0020. */
function document(value: unknown): string {
  return JSON.stringify(value).replace(/\p{C}/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return EXIT_OK
}
