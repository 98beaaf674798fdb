/** Reading the settings. The process's environment wins over a `.env` file in the working folder. */
import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { readLimits } from './limits.ts'
import { type Config, ConfigSchema } from './schema.ts'
import { isPlainUrl, isRedisUrl, isSender, isSmtpUrl } from './values.ts'

export type { Config } from './schema.ts'

/** An upload to S3 has 10,000 parts, which are of 8 MiB here; seals add less than a thousandth. */
const S3_FILE_BYTES = 78 * 1024 ** 3

const NUMBER = /^-?\d+(\.\d+)?$/

/** All that is wrong with the settings, one line for each variable. */
export class ConfigError extends Error {
  readonly faults: string[]

  constructor(faults: string[]) {
    super(`The settings cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
    this.faults = faults
  }
}

/** Reads the settings. An empty value counts as none. Throws one `ConfigError` that names every variable at fault. */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const given: Record<string, unknown> = {}
  for (const [name, { type }] of Object.entries<TSchema>(ConfigSchema.properties)) {
    const text = environment[name]?.trim()
    if (text) given[name] = type !== 'string' && NUMBER.test(text) ? Number(text) : text
  }
  const config = Value.Default(ConfigSchema, given)
  const faults = new Map<string, string>()
  for (const { path } of Value.Errors(ConfigSchema, config)) {
    const name = path.slice(1)
    faults.set(name, faultOf(ConfigSchema.properties, name, environment[name]))
  }
  const { faults: limitFaults } = readLimits(environment.RATE_LIMITS)
  if (limitFaults.length > 0) faults.set('RATE_LIMITS', `RATE_LIMITS cannot be read: ${limitFaults.join('; ')}.`)
  for (const [name, other] of [
    ['TLS_CERT', 'TLS_KEY'],
    ['TLS_KEY', 'TLS_CERT'],
  ] as const) {
    if (given[name] && !given[other]) faults.set(other, `${other} is missing; ${name} is of no use without it.`)
  }
  for (const [name, fault] of s3Faults(config as Config)) faults.set(name, fault)
  if (given.REDIS_URL && !isRedisUrl(String(given.REDIS_URL))) faults.set('REDIS_URL', REDIS_FAULT)
  if (faults.size > 0) throw new ConfigError([...faults.values()])
  return config as Config
}

/**
 * What the chosen delivery of PINs needs of the settings. Apart from reading them, since the operator's commands deliver
 * nothing. Throws a `ConfigError`, which repeats no value: one of them has a password.
 */
export function checkDelivery(config: Config): void {
  const faults = config.PIN_DELIVERY === 'email' ? mailFaults(config) : exposureFaults(config)
  if (faults.length > 0) throw new ConfigError(faults)
}

function mailFaults({ SMTP_URL, MAIL_FROM }: Config): string[] {
  const url = 'it must be smtp://[user:password@]host[:port] or smtps://…, with %-escapes in user and password.'
  const sender = 'it must be an address, or a name and an address: Our vault <vault@example.org>.'
  return [
    ...(isSmtpUrl(SMTP_URL) ? [] : [`SMTP_URL ${fault(SMTP_URL)}; ${url}`]),
    ...(isSender(MAIL_FROM) ? [] : [`MAIL_FROM ${fault(MAIL_FROM)}; ${sender}`]),
  ]
}

function fault(value: string | undefined): string {
  return value === undefined ? 'is missing, and PIN_DELIVERY=email needs it' : 'cannot be used'
}

/** Repeats nothing: there is a password in it. */
const REDIS_FAULT =
  'REDIS_URL cannot be used; it must be redis://[[user]:password@]host[:port][/database] or rediss://…, with %-escapes in user and password.'

function exposureFaults({ NODE_ENV, PIN_DELIVERY, ALLOW_INSECURE_PIN_DELIVERY }: Config): string[] {
  if (NODE_ENV !== 'production' || ALLOW_INSECURE_PIN_DELIVERY === 'yes') return []
  const who = PIN_DELIVERY === 'console' ? 'whoever reads the log' : 'whoever registers an address'
  return [
    `PIN_DELIVERY is ${PIN_DELIVERY}, and NODE_ENV is production: ${who} would read PINs. Set PIN_DELIVERY=email with SMTP_URL and MAIL_FROM, or ALLOW_INSECURE_PIN_DELIVERY=yes where that is meant.`,
  ]
}

/** All that a bucket needs is there, or nothing of it. Values are not shown: a secret may have got into the wrong line. */
function* s3Faults(config: Config): Iterable<[name: string, fault: string]> {
  const together = ['S3_BUCKET', 'S3_ENDPOINT', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const
  const given = together.find((name) => config[name] !== undefined)
  for (const name of together) {
    if (given && config[name] === undefined) yield [name, `${name} is missing; it is needed with ${given}.`]
  }
  const { S3_ENDPOINT, MAX_FILE_BYTES } = config
  if (given && MAX_FILE_BYTES > S3_FILE_BYTES) {
    yield ['MAX_FILE_BYTES', `MAX_FILE_BYTES must be at most ${S3_FILE_BYTES} with S3_BUCKET.`]
  }
  if (S3_ENDPOINT !== undefined && !isPlainUrl(S3_ENDPOINT)) {
    yield ['S3_ENDPOINT', 'S3_ENDPOINT must be a URL such as https://s3.example.org, without user, query or fragment.']
  }
}

/** The variables of a `.env` file; none where there is no such file. */
export function readEnvFile(path: string): NodeJS.ProcessEnv {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new ConfigError([`${path} cannot be read: ${(error as Error).message}`])
  }
}

/** The settings in a file and no others, whatever the environment of the process has. Throws where there is no such file. */
export function readSettings(path: string): Config {
  if (!existsSync(path)) throw new ConfigError([`${path}: there is no such file.`])
  try {
    return readConfig(readEnvFile(path))
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(error.faults.map((fault) => `${path}: ${fault}`))
    throw error
  }
}

/** The names that mean nothing to this version: slips of the pen, and settings of another one. */
export function unknownSettings(file: NodeJS.ProcessEnv): string[] {
  return Object.keys(file).filter((name) => !(name in ConfigSchema.properties))
}

function faultOf(properties: Record<string, TSchema>, name: string, text: string | undefined): string {
  const { secret } = properties[name] as TSchema
  // It may have a password in it.
  if (secret) return `${name} is not shown here; it must be ${secret}.`
  return `${name} is ${JSON.stringify(text)}; ${wanted(properties, name)}`
}

function wanted(properties: Record<string, TSchema>, name: string): string {
  const schema = properties[name]
  if (schema?.['x-wanted']) return schema['x-wanted']
  if (schema?.anyOf) return `it must be one of ${schema.anyOf.map((choice: TSchema) => choice.const).join(', ')}.`
  if (schema?.const) return `it must be ${schema.const}.`
  const from = schema?.exclusiveMinimum === undefined ? `from ${schema?.minimum}` : `above ${schema.exclusiveMinimum}`
  return `it must be ${schema?.type === 'integer' ? 'a whole number' : 'a number'} ${from} to ${schema?.maximum}.`
}
