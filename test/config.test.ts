import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { certificateIn } from '../src/adapters/disk/certificate.ts'
import { masterKeyIn, readKeyFile } from '../src/adapters/disk/key-file.ts'
import {
  ConfigError,
  checkDelivery,
  readConfig,
  readEnvFile,
  readSettings,
  unknownSettings,
} from '../src/config/config.ts'
import { ConfigSchema } from '../src/config/schema.ts'
import { temporaryFolder } from './support/app.ts'

describe('the settings', () => {
  it('have defaults that need no thought', () => {
    expect(readConfig({})).toEqual({
      HOST: '127.0.0.1',
      PORT: 8000,
      DATA_DIR: './data',
      UPLOADS_DIR: './uploads',
      UPLOAD_EXPIRY_HOURS: 168,
      UPLOAD_INTERIM_RESPONSES: 'on',
      S3_REGION: 'us-east-1',
      S3_FORCE_PATH_STYLE: 'true',
      TRASH_DAYS: 30,
      ACTIVITY_DAYS: 90,
      CHANGES_DAYS: 90,
      LOG_LEVEL: 'info',
      LOG_CLIENT_ADDRESS: 'off',
      PIN_DELIVERY: 'response',
      PIN_TTL_SECONDS: 300,
      PIN_MAX_ATTEMPTS: 5,
      SESSION_TTL_DAYS: 30,
      SESSION_MAX_DAYS: 365,
      MAX_FILE_BYTES: 10_737_418_240,
      RATE_LIMIT: 'on',
      SCRUB_DAYS: 30,
      SHUTDOWN_GRACE_SECONDS: 30,
      METRICS: 'off',
      METRICS_HOST: '127.0.0.1',
      METRICS_PORT: 9464,
      WEB: 'on',
      READ_ONLY: 'off',
      TRUST_PROXY: 'off',
    })
  })

  it('come from the environment, where an empty value is none', () => {
    const environment = { PORT: ' 9000 ', HOST: ' ', SESSION_TTL_DAYS: '0.5', PIN_DELIVERY: 'console', PATH: '/bin' }
    expect(readConfig(environment)).toMatchObject({
      PORT: 9000,
      HOST: '127.0.0.1',
      SESSION_TTL_DAYS: 0.5,
      PIN_DELIVERY: 'console',
    })
    expect(readConfig(environment)).not.toHaveProperty('PATH')
  })

  it('tell all their faults at once, each by its name', () => {
    const read = () =>
      readConfig({
        PORT: 'http',
        PIN_DELIVERY: 'pigeon',
        LOG_LEVEL: 'loud',
        SESSION_TTL_DAYS: '0',
        MAX_FILE_BYTES: '1.5',
      })
    expect(read).toThrow(ConfigError)
    expect(read).toThrow(`The settings cannot be used:
  PORT is "http"; it must be a whole number from 0 to 65535.
  LOG_LEVEL is "loud"; it must be one of trace, debug, info, warn, error, fatal, silent.
  PIN_DELIVERY is "pigeon"; it must be one of response, console, email.
  SESSION_TTL_DAYS is "0"; it must be a number above 0 to 3650.
  MAX_FILE_BYTES is "1.5"; it must be a whole number from 1 to 9007199254740991.`)
  })

  it('name a bucket with all that it needs, or none', () => {
    const s3 = { S3_BUCKET: 'b', S3_ENDPOINT: 'http://s3', S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'hush' }
    expect(readConfig(s3)).toMatchObject(s3)
    for (const missing of Object.keys(s3)) {
      expect(() => readConfig({ ...s3, [missing]: '' })).toThrow(`${missing} is missing; S3_`)
    }
    expect(() => readConfig({ S3_SECRET_ACCESS_KEY: 'hush' })).toThrow('S3_BUCKET is missing')
    expect(() => readConfig({ ...s3, MAX_FILE_BYTES: '83751862273' })).toThrow('MAX_FILE_BYTES must be at most')
  })

  it.each(['s3.example.org', 'ftp://s3', 'http://id:hush@s3', 'http://s3?hush', 'http://s3#hush'])(
    'do not take the endpoint %j, and do not repeat it',
    (S3_ENDPOINT) => {
      const s3 = { S3_BUCKET: 'b', S3_ENDPOINT, S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'hush' }
      expect(() => readConfig(s3)).toThrow(/^The settings cannot be used:\n {2}S3_ENDPOINT must be a URL((?!hush).)*$/)
    },
  )

  it('shows no password of a collector of traces', () => {
    const read = () => readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: 'grpc://ada:a-secret@host:4317' })
    expect(read).toThrow('OTEL_EXPORTER_OTLP_ENDPOINT is invalid (its value is not shown)')
    expect(read).not.toThrow('a-secret')
  })

  it.each(['postgres://ada:a-secret@[', 'mysql://ada:a-secret@host/vault'])(
    'do not take the database %j',
    (DATABASE_URL) => {
      const read = () => readConfig({ DATABASE_URL })
      expect(read).toThrow('DATABASE_URL is invalid (its value is not shown); it must be a URL such as postgres://user')
      expect(read).not.toThrow('a-secret')
    },
  )

  it.each(['8000.5', '0x1F91', '1e3', '-1', '65536', '8 000', 'Infinity', 'true'])(
    'do not take the port %j',
    (PORT) => {
      expect(() => readConfig({ PORT })).toThrow('PORT')
    },
  )
})

describe('the delivery of PINs', () => {
  const check = (environment: NodeJS.ProcessEnv) => () => checkDelivery(readConfig(environment))
  const mail = { PIN_DELIVERY: 'email', SMTP_URL: 'smtps://mail.example.org', MAIL_FROM: 'vault@example.org' }

  it('by mail needs a server and a sender', () => {
    expect(check({ PIN_DELIVERY: 'email' })).toThrow(ConfigError)
    expect(check({ PIN_DELIVERY: 'email' })).toThrow(`The settings cannot be used:
  SMTP_URL is missing, and PIN_DELIVERY=email needs it; it must be smtp://[user:password@]host[:port] or smtps://…, with %-escapes in user and password.
  MAIL_FROM is missing, and PIN_DELIVERY=email needs it; it must be an address, or a name and an address: Our vault <vault@example.org>.`)
  })

  it.each([
    'smtp://localhost',
    'smtp://127.0.0.1:2525/',
    'smtps://[::1]:465',
    'smtp://ada%40example.org:hunter%2F2@mail.example.org:587',
    'smtp://ada@example.org:hunter2@mail.example.org',
  ])('goes through %s', (SMTP_URL) => {
    expect(check({ ...mail, SMTP_URL })).not.toThrow()
  })

  it.each([
    'mail.example.org:hunter2',
    'http://ada:hunter2@mail.example.org',
    'smtp://ada:hunter2@mail.example.org/?tls=off',
    'smtp://ada:hunter2@mail.example.org?ignoreTLS=true',
    'smtp://ada:hunter2#@mail.example.org',
    'smtp://ada:hunter2/x@mail.example.org',
    'smtp://ada:hunter2%@mail.example.org',
    'smtp://:hunter2@mail.example.org',
    'smtp://hunter2@mail.example.org',
    'smtp://ada:hunter2@',
    'smtp:hunter2',
  ])('does not go through %s, and the message does not repeat it', (SMTP_URL) => {
    expect(check({ ...mail, SMTP_URL })).toThrow('SMTP_URL cannot be used')
    expect(check({ ...mail, SMTP_URL })).not.toThrow('hunter2')
  })

  it.each(['vault@example.org', 'vault@localhost', 'Our vault <vault@example.org>', 'Gewölbe, privat <v@example.org>'])(
    'comes from %s',
    (MAIL_FROM) => {
      expect(check({ ...mail, MAIL_FROM })).not.toThrow()
    },
  )

  it.each(['vault', 'a@example.org, b@example.org', 'Vault <a@example.org', 'Vault <a@x>, <b@x>', 'V\r\nBcc: x <a@x>'])(
    'does not come from %j',
    (MAIL_FROM) => {
      expect(check({ ...mail, MAIL_FROM })).toThrow('MAIL_FROM cannot be used')
    },
  )

  it('shows PINs in production only where that is meant', () => {
    const NODE_ENV = 'production'
    expect(check({ NODE_ENV })).toThrow('PIN_DELIVERY is response, and NODE_ENV is production')
    expect(check({ NODE_ENV, PIN_DELIVERY: 'console' })).toThrow('PIN_DELIVERY is console, and NODE_ENV is production')
    expect(check({ NODE_ENV, ALLOW_INSECURE_PIN_DELIVERY: 'yes' })).not.toThrow()
    expect(check({ NODE_ENV, ...mail })).not.toThrow()
    expect(check({ NODE_ENV: 'development' })).not.toThrow()
    expect(check({ NODE_ENV, ALLOW_INSECURE_PIN_DELIVERY: 'true' })).toThrow(
      'ALLOW_INSECURE_PIN_DELIVERY is "true"; it must be yes.',
    )
  })
})

describe('TRUST_PROXY', () => {
  it.each(['off', '1', '9', '10.0.0.0/8', '192.0.2.7', 'fc00::/7', '::1', '::1/128', '127.0.0.1, 2001:db8::/32'])(
    'takes %j',
    (TRUST_PROXY) => {
      expect(readConfig({ TRUST_PROXY }).TRUST_PROXY).toBe(TRUST_PROXY)
    },
  )

  it.each([
    ...['true', 'yes', 'on', '*', '0', '10', '-1', '1.5', 'loopback', 'proxy.example.org'],
    ...[
      '0.0.0.0/0',
      '0.0.0.0/1',
      '10.0.0.0/7',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/255.0.0.0',
      '010.0.0.1',
      '10.0.0',
    ],
    ...['::/0', '2000::/3', '::ffff:0:0/96', '0:0:0:0:0:ffff:0:0/96', '::1/129', 'fe80::1%eth0', '10.0.0.1,', 'off, 1'],
  ])('does not take %j', (TRUST_PROXY) => {
    expect(() => readConfig({ TRUST_PROXY })).toThrow('a trusted proxy can claim any client address')
  })
})

describe('CORS_ORIGINS', () => {
  it('takes origins as browsers write them', () => {
    const CORS_ORIGINS = 'https://app.example.org, http://localhost:5173,https://[::1]:8443'
    expect(readConfig({ CORS_ORIGINS }).CORS_ORIGINS).toBe(CORS_ORIGINS)
  })

  it.each([
    ...['*', 'null', 'https://*.example.org', 'app.example.org', 'https://app.example.org/', 'https://a.example/b'],
    ...[
      'https://App.example.org',
      'https://a.example:443',
      'https://u@a.example',
      'ftp://a.example',
      'https://a.example,',
    ],
  ])('does not take %j', (CORS_ORIGINS) => {
    expect(() => readConfig({ CORS_ORIGINS })).toThrow('it must be origins such as https://app.example.org')
  })
})

describe('TLS_CERT and TLS_KEY', () => {
  it('are of no use one without the other', () => {
    expect(() => readConfig({ TLS_CERT: 'cert.pem' })).toThrow('TLS_KEY is missing')
    expect(() => readConfig({ TLS_KEY: 'key.pem' })).toThrow('TLS_CERT is missing')
  })
})

describe('REDIS_URL', () => {
  it.each([
    'redis://localhost',
    'redis://127.0.0.1:6379/',
    'redis://[::1]:6379/15',
    'redis://:hunter%2F2@redis.example.org',
    'rediss://ada%40example.org:hunter2@redis.example.org:6380/3',
  ])('may be %s', (REDIS_URL) => {
    expect(readConfig({ REDIS_URL })).toMatchObject({ REDIS_URL })
  })

  it.each([
    'redis.example.org:hunter2',
    'http://:hunter2@redis.example.org',
    'redis://:hunter2@redis.example.org/vault',
    'redis://:hunter2@redis.example.org?family=6',
    'redis://:hunter2#@redis.example.org',
    'redis://:hunter2/x@redis.example.org',
    'redis://:hunter2%@redis.example.org',
    'redis://hunter2@redis.example.org',
    'redis://ada:hunter2@',
  ])('is not %s, and the message does not repeat it', (REDIS_URL) => {
    expect(() => readConfig({ REDIS_URL })).toThrow('REDIS_URL cannot be used; it must be redis://')
    expect(() => readConfig({ REDIS_URL })).not.toThrow('hunter2')
  })
})

const IN_UTF_16: [what: string, encode: (text: string) => Buffer][] = [
  ['of PowerShell', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
  ['in big-endian order', (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
  ['without a mark', (text) => Buffer.from(text, 'utf16le')],
]

describe('other files of the operator', () => {
  const pair = { cert: 'tls-cert.pem', key: 'tls-key.pem' }
  const supported = (name: string) => readFileSync(join(import.meta.dirname, 'support', name), 'utf8')

  it('may begin with a byte order mark', async () => {
    const folder = await temporaryFolder()
    const of = (name: string) => join(folder, name)
    writeFileSync(of('key'), `\ufeff${Buffer.alloc(32, 1).toString('base64')}\n`)
    for (const name of Object.values(pair)) writeFileSync(of(name), `\ufeff${supported(name)}`)
    expect(masterKeyIn(readKeyFile(of('key')) as string, 'the file')).toEqual(Buffer.alloc(32, 1))
    expect(certificateIn(of(pair.cert), of(pair.key))().cert).toBe(supported(pair.cert))
  })

  it.each(IN_UTF_16)('cannot be in UTF-16 %s', async (_what, encode) => {
    const path = join(await temporaryFolder(), 'file')
    writeFileSync(path, encode('text'))
    expect(() => readKeyFile(path)).toThrow(/^the master key file .*file cannot be read: .*UTF-16.* must be in UTF-8$/)
    expect(certificateIn(path, path)).toThrow(/^TLS_CERT is .*file, which cannot be used: .*UTF-16/)
  })
})

describe('the file .env', () => {
  it('is read', async () => {
    const path = join(await temporaryFolder(), '.env')
    writeFileSync(path, 'PORT=9000\nHOST="0.0.0.0" # everywhere\n')
    expect(readEnvFile(path)).toEqual({ PORT: '9000', HOST: '0.0.0.0' })
  })

  it('keeps its first setting if it begins with a byte order mark', async () => {
    const path = join(await temporaryFolder(), '.env')
    writeFileSync(path, '\ufeffPORT=9000\nHOST=0.0.0.0\n')
    expect(readEnvFile(path)).toEqual({ PORT: '9000', HOST: '0.0.0.0' })
    expect(readSettings(path)).toMatchObject({ PORT: 9000, HOST: '0.0.0.0' })
  })

  it.each(IN_UTF_16)('in UTF-16 %s is an error that says so, in every file of settings', async (_what, encode) => {
    const path = join(await temporaryFolder(), '.env')
    writeFileSync(path, encode('PORT=9000\n'))
    for (const read of [readEnvFile, readSettings]) {
      expect(() => read(path)).toThrow(ConfigError)
      expect(() => read(path)).toThrow(/\.env cannot be read: .*UTF-16.* must be in UTF-8/)
    }
  })

  it('may be missing', async () => {
    expect(readEnvFile(join(await temporaryFolder(), '.env'))).toEqual({})
  })

  it('that cannot be read is a fault', async () => {
    const folder = await temporaryFolder()
    expect(() => readEnvFile(folder)).toThrow(ConfigError)
  })

  it('has names that mean nothing', () => {
    expect(unknownSettings({ PORT: '1', PIN_TTL: '3', OTEL_SERVICE_NAME: 'vault' })).toEqual(['PIN_TTL'])
  })
})

describe('.env.example', () => {
  const text = readFileSync(join(import.meta.dirname, '..', '.env.example'), 'utf8')

  it('has every setting with its default, and no other', () => {
    const shown = [...text.matchAll(/^#(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value])
    const settings = Object.entries(ConfigSchema.properties).map(([name, { default: value }]) => [
      name,
      String(value ?? ''),
    ])
    expect(shown).toEqual(settings)
  })

  it('says of each what it is for', () => {
    for (const { description } of Object.values(ConfigSchema.properties)) expect(text).toContain(`# ${description}`)
  })
})
