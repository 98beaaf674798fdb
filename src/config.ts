/** Every environment variable, once. The process's environment wins over a `.env` file in the working folder. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { parseEnv } from 'node:util'
import { FormatRegistry, type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { readLimits } from './limits.ts'

const GiB = 1024 ** 3
/** An upload to S3 has 10,000 parts, which are of 8 MiB here; seals add less than a thousandth. */
const S3_FILE_BYTES = 78 * GiB

FormatRegistry.Set('postgres-url', (text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text))

const NUMBER = /^-?\d+(\.\d+)?$/
const ADDRESS = "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"
const SENDER = new RegExp(`^(?:${ADDRESS}|[^<>"\\p{C}]*<${ADDRESS}>)$`, 'u')

FormatRegistry.Set('proxies', (text) => text === 'off' || /^[1-9]$/.test(text) || everyOf(text, isNetwork))
FormatRegistry.Set('origins', (text) => everyOf(text, isOrigin))

export const ConfigSchema = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'The address to listen on.' }),
  PORT: Type.Integer({ default: 8000, minimum: 0, maximum: 65_535, description: 'The port; 0 takes a free one.' }),
  DATA_DIR: Type.String({ default: './data', description: 'The folder of the SQLite database.' }),
  UPLOADS_DIR: Type.String({ default: './uploads', description: 'The folder of the uploaded bytes.' }),
  S3_BUCKET: Type.Optional(
    Type.String({ description: 'A bucket for the uploaded bytes, instead of UPLOADS_DIR. It must exist.' }),
  ),
  S3_ENDPOINT: Type.Optional(
    Type.String({ description: 'The URL of the S3 service, such as https://s3.eu-central-1.amazonaws.com.' }),
  ),
  S3_REGION: Type.String({ default: 'us-east-1', description: 'The region of the bucket.' }),
  S3_ACCESS_KEY_ID: Type.Optional(Type.String({ description: 'The access key for the bucket.' })),
  S3_SECRET_ACCESS_KEY: Type.Optional(Type.String({ description: 'The secret of that key.' })),
  S3_FORCE_PATH_STYLE: Type.Union(
    ['true', 'false', 'on', 'off'].map((choice) => Type.Literal(choice)),
    { default: 'true', description: 'true: endpoint/bucket, as most services want it. false: bucket.endpoint.' },
  ),
  DATABASE_URL: Type.Optional(
    Type.String({
      format: 'postgres-url',
      secret: 'a URL such as postgres://user:password@host:5432/database',
      description:
        'postgres://user:password@host:5432/database, for many servers on one database. Without it, SQLite in DATA_DIR.',
    }),
  ),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info', description: 'trace, debug, info, warn, error, fatal or silent.' },
  ),
  NODE_ENV: Type.Optional(Type.String({ description: 'production refuses PINs in responses and in the log.' })),
  MASTER_KEY: Type.Optional(
    Type.String({
      description: '32 bytes in base64: openssl rand -base64 32. Without one, DATA_DIR/master.key is made.',
    }),
  ),
  MASTER_KEY_FILE: Type.Optional(Type.String({ description: 'A file with the master key in base64, instead.' })),
  MASTER_KEY_PREVIOUS: Type.Optional(
    Type.String({ description: 'Master keys that still open and never seal, separated by commas.' }),
  ),
  PIN_DELIVERY: Type.Union([Type.Literal('response'), Type.Literal('console'), Type.Literal('email')], {
    default: 'response',
    description:
      'response: whoever registers reads the PIN in the answer. console: it stands in the log. email: by mail.',
  }),
  ALLOW_INSECURE_PIN_DELIVERY: Type.Optional(
    Type.Literal('yes', { description: 'yes allows response and console with NODE_ENV=production too.' }),
  ),
  PIN_TTL_SECONDS: Type.Integer({ default: 300, minimum: 10, maximum: 86_400, description: 'How long a PIN lives.' }),
  PIN_MAX_ATTEMPTS: Type.Integer({
    default: 5,
    minimum: 1,
    maximum: 10,
    description: 'Wrong guesses that void a PIN.',
  }),
  SMTP_URL: Type.Optional(
    Type.String({ description: 'Where mail goes out: smtp://user:password@host:587 (STARTTLS) or smtps://… (TLS).' }),
  ),
  MAIL_FROM: Type.Optional(
    Type.String({
      description: 'The sender of mail: vault@example.org, or with a name: Our vault <vault@example.org>.',
    }),
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      description:
        'Where pending PINs and counts are kept: redis://[[user]:password@]host[:port][/database], rediss:// for TLS. Without it, in memory.',
    }),
  ),
  SESSION_TTL_DAYS: Type.Number({
    default: 30,
    exclusiveMinimum: 0,
    maximum: 3650,
    description: 'Days from its last use until a session ends; fractions allowed.',
  }),
  SESSION_MAX_DAYS: Type.Number({
    default: 365,
    exclusiveMinimum: 0,
    maximum: 3650,
    description: 'Days until a session ends however much it is used; fractions allowed.',
  }),
  MAX_FILE_BYTES: Type.Integer({
    default: 10 * GiB,
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'The largest file taken, in bytes.',
  }),
  QUOTA_BYTES: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'What the files and the trash of one user may take together, in bytes. Without it there is no limit.',
    }),
  ),
  TRASH_DAYS: Type.Number({
    default: 30,
    minimum: 0,
    maximum: 36_500,
    description: 'Days for which a deleted file can be restored; fractions allowed.',
  }),
  ACTIVITY_DAYS: Type.Number({
    default: 90,
    minimum: 0,
    maximum: 36_500,
    description: 'Days for which a user can read what happened in the account; fractions allowed.',
  }),
  RATE_LIMIT: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description: 'on, or off where nobody is ever refused for asking too often.',
  }),
  RATE_LIMITS: Type.Optional(
    Type.String({
      description: 'Changed limits, such as sign-in=20/1m,register=5/1h; docs/operating.md has their names.',
    }),
  ),
  TRUST_PROXY: Type.String({
    format: 'proxies',
    default: 'off',
    description: 'How many proxies stand before the server, or their addresses and CIDRs, separated by commas.',
    'x-wanted':
      'it must be off, the number of proxies (1 to 9), or their addresses and CIDRs, separated by commas; whoever is trusted can claim to be anybody, so no CIDR may be wider than /8, nor than /7 in IPv6.',
  }),
  CORS_ORIGINS: Type.Optional(
    Type.String({
      format: 'origins',
      description: 'Origins whose pages may use the API in a browser, separated by commas: https://app.example.org',
      'x-wanted':
        'it must be origins such as https://app.example.org, separated by commas, without a path; * is not taken, since any page that somebody opens could then reach the server through that browser.',
    }),
  ),
  TLS_CERT: Type.Optional(
    Type.String({ description: 'A PEM file with the certificate, and those between it and a known one: serve HTTPS.' }),
  ),
  TLS_KEY: Type.Optional(Type.String({ description: 'The PEM file with the private key of TLS_CERT.' })),
})

/** What stands between the commas. */
export function listOf(text: string): string[] {
  return text.split(',').map((item) => item.trim())
}

export type Config = Static<typeof ConfigSchema>

/** All that is wrong with the settings, one line for each variable. */
export class ConfigError extends Error {
  constructor(faults: string[]) {
    super(`The settings cannot be used:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ConfigError'
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
    ...(SENDER.test(MAIL_FROM ?? '') ? [] : [`MAIL_FROM ${fault(MAIL_FROM)}; ${sender}`]),
  ]
}

function fault(value: string | undefined): string {
  return value === undefined ? 'is missing, and PIN_DELIVERY=email needs it' : 'cannot be used'
}

function isSmtpUrl(text = ''): boolean {
  try {
    const { protocol, hostname, username, password, pathname, search, hash } = new URL(text)
    for (const part of [username, password]) decodeURIComponent(part)
    const isBare = ['', '/'].includes(pathname) && search === '' && hash === ''
    return /^smtps?:$/.test(protocol) && hostname !== '' && isBare && (username === '') === (password === '')
  } catch {
    return false
  }
}

/** Repeats nothing: there is a password in it. */
const REDIS_FAULT =
  'REDIS_URL cannot be used; it must be redis://[[user]:password@]host[:port][/database] or rediss://…, with %-escapes in user and password.'

function isRedisUrl(text: string): boolean {
  try {
    const { protocol, hostname, username, password, pathname, search, hash } = new URL(text)
    for (const part of [username, password]) decodeURIComponent(part)
    const isBare = /^(\/\d{0,4})?$/.test(pathname) && search === '' && hash === ''
    return /^rediss?:$/.test(protocol) && hostname !== '' && isBare && (username === '' || password !== '')
  } catch {
    return false
  }
}

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

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, search, hash } = new URL(text)
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '')
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

function everyOf(text: string, is: (item: string) => boolean): boolean {
  return listOf(text).every(is)
}

/** An address or a CIDR, in no form that would take in far more than it seems to: 0.0.0.0/0, and all of IPv4 within IPv6. */
function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? []
  const version = isIP(address)
  if (version === 0 || prefix === undefined) return version !== 0
  const [widest, narrowest] =
    version === 4 ? [8, 32] : [address.startsWith('::') || /^0+:/.test(address) ? 128 : 7, 128]
  return Number(prefix) >= widest && Number(prefix) <= narrowest
}

function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text
}
