/** Reads the settings. Environment variables take precedence over a `.env` file in the working folder. */
import { existsSync } from 'node:fs'
import { parseEnv } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { readTextFile } from '../text-files.ts'
import { readLimits } from './limits.ts'
import { type Config, ConfigSchema } from './schema.ts'
import { isPlainUrl, isRedisUrl, isSender, isSmtpUrl } from './values.ts'

export type { Config } from './schema.ts'

/** An upload to S3 may have 10,000 parts of 8 MiB. Sealing adds less than a thousandth. */
const S3_FILE_BYTES = 78 * 1024 ** 3

const NUMBER = /^-?\d+(\.\d+)?$/

/** The errors in the settings, one line for each variable. */
export class ConfigError extends Error {
  readonly errors: string[]

  constructor(errors: string[]) {
    super(`The settings cannot be used:\n${errors.map((line) => `  ${line}`).join('\n')}`)
    this.name = 'ConfigError'
    this.errors = errors
  }
}

/** Reads the settings. An empty value counts as unset. Throws one `ConfigError` that names every invalid variable. */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const given: Record<string, unknown> = {}
  for (const [name, { type }] of Object.entries<TSchema>(ConfigSchema.properties)) {
    const text = environment[name]?.trim()
    if (text) given[name] = type !== 'string' && NUMBER.test(text) ? Number(text) : text
  }
  const config = Value.Default(ConfigSchema, given)
  const errors = new Map<string, string>()
  for (const { path } of Value.Errors(ConfigSchema, config)) {
    const name = path.slice(1)
    errors.set(name, errorOf(ConfigSchema.properties, name, environment[name]))
  }
  const { errors: limitErrors } = readLimits(environment.RATE_LIMITS)
  if (limitErrors.length > 0) errors.set('RATE_LIMITS', `RATE_LIMITS cannot be read: ${limitErrors.join('; ')}.`)
  for (const [name, other] of [
    ['TLS_CERT', 'TLS_KEY'],
    ['TLS_KEY', 'TLS_CERT'],
  ] as const) {
    if (given[name] && !given[other]) errors.set(other, `${other} is missing; ${name} needs it.`)
  }
  for (const [name, error] of s3Errors(config as Config)) errors.set(name, error)
  if (given.REDIS_URL && !isRedisUrl(String(given.REDIS_URL))) errors.set('REDIS_URL', REDIS_ERROR)
  if (errors.size > 0) throw new ConfigError([...errors.values()])
  return config as Config
}

/**
 * Checks the settings of the chosen PIN delivery. Separate from `readConfig`, because the operator's commands deliver no PINs.
 * Throws a `ConfigError` without values, because SMTP_URL contains a password.
 */
export function checkDelivery(config: Config): void {
  const errors = config.PIN_DELIVERY === 'email' ? mailErrors(config) : exposureErrors(config)
  if (errors.length > 0) throw new ConfigError(errors)
}

function mailErrors({ SMTP_URL, MAIL_FROM }: Config): string[] {
  const url = 'it must be smtp://[user:password@]host[:port] or smtps://…, with %-escapes in user and password.'
  const sender = 'it must be an address, or a name and an address: Our vault <vault@example.org>.'
  return [
    ...(isSmtpUrl(SMTP_URL) ? [] : [`SMTP_URL ${missingOrInvalid(SMTP_URL)}; ${url}`]),
    ...(isSender(MAIL_FROM) ? [] : [`MAIL_FROM ${missingOrInvalid(MAIL_FROM)}; ${sender}`]),
  ]
}

function missingOrInvalid(value: string | undefined): string {
  return value === undefined ? 'is missing, and PIN_DELIVERY=email needs it' : 'cannot be used'
}

/** Does not show the value, which contains a password. */
const REDIS_ERROR =
  'REDIS_URL cannot be used; it must be redis://[[user]:password@]host[:port][/database] or rediss://…, with %-escapes in user and password.'

function exposureErrors({ NODE_ENV, PIN_DELIVERY, ALLOW_INSECURE_PIN_DELIVERY }: Config): string[] {
  if (NODE_ENV !== 'production' || ALLOW_INSECURE_PIN_DELIVERY === 'yes') return []
  const reader = PIN_DELIVERY === 'console' ? 'everyone who reads the log' : 'everyone who registers an address'
  return [
    `PIN_DELIVERY is ${PIN_DELIVERY}, and NODE_ENV is production: ${reader} would see PINs. Set PIN_DELIVERY=email with SMTP_URL and MAIL_FROM, or ALLOW_INSECURE_PIN_DELIVERY=yes to allow this.`,
  ]
}

/** Set all required S3_ settings, or none. Values are not shown, because a secret may be in the wrong variable. */
function* s3Errors(config: Config): Iterable<[name: string, error: string]> {
  const together = ['S3_BUCKET', 'S3_ENDPOINT', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const
  const given = together.find((name) => config[name] !== undefined)
  for (const name of together) {
    if (given && config[name] === undefined) yield [name, `${name} is missing; ${given} needs it.`]
  }
  const { S3_ENDPOINT, MAX_FILE_BYTES } = config
  if (given && MAX_FILE_BYTES > S3_FILE_BYTES) {
    yield ['MAX_FILE_BYTES', `MAX_FILE_BYTES must be at most ${S3_FILE_BYTES} with S3_BUCKET.`]
  }
  if (S3_ENDPOINT !== undefined && !isPlainUrl(S3_ENDPOINT)) {
    yield ['S3_ENDPOINT', 'S3_ENDPOINT must be a URL such as https://s3.example.org, without user, query or fragment.']
  }
}

/** The variables of a `.env` file; none if the file does not exist. */
export function readEnvFile(path: string): NodeJS.ProcessEnv {
  try {
    return parseEnv(readTextFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new ConfigError([`${path} cannot be read: ${(error as Error).message}`])
  }
}

/** The settings of a file only; environment variables are ignored. Throws if the file does not exist. */
export function readSettings(path: string): Config {
  if (!existsSync(path)) throw new ConfigError([`${path}: there is no such file.`])
  try {
    return readConfig(readEnvFile(path))
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(error.errors.map((line) => `${path}: ${line}`))
    throw error
  }
}

/** The names that this version does not know: typing errors, and settings of other versions. */
export function unknownSettings(file: NodeJS.ProcessEnv): string[] {
  return Object.keys(file).filter((name) => !(name in ConfigSchema.properties) && !isForOpenTelemetry(name))
}

/** OpenTelemetry reads its settings from the environment only. So those of the file are put there. */
export function passToOpenTelemetry(file: NodeJS.ProcessEnv, environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(file)) if (isForOpenTelemetry(name)) environment[name] ??= file[name]
}

/** The switches that OpenTelemetry specifies, and that the parts of it which we use do not read. Ours is the exporter `otlp`. */
export function isTracingOff({ OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER }: NodeJS.ProcessEnv): boolean {
  const exporters = (OTEL_TRACES_EXPORTER || 'otlp').split(',').map((exporter) => exporter.trim())
  return OTEL_SDK_DISABLED?.toLowerCase() === 'true' || !exporters.includes('otlp')
}

function isForOpenTelemetry(name: string): boolean {
  return name.startsWith('OTEL_')
}

function errorOf(properties: Record<string, TSchema>, name: string, text: string | undefined): string {
  const { secret } = properties[name] as TSchema
  // The value may contain a password.
  if (secret) return `${name} is invalid (its value is not shown); it must be ${secret}.`
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
