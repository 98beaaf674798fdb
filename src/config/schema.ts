/** Every setting, with its type, its default and its description. */
import { FormatRegistry, type Static, Type } from '@sinclair/typebox'
import { everyOf, isNetwork, isOrigin } from './values.ts'

const GiB = 1024 ** 3

FormatRegistry.Set('postgres-url', (text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('http-url', (text) => /^https?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('proxies', (text) => text === 'off' || /^[1-9]$/.test(text) || everyOf(text, isNetwork))
FormatRegistry.Set('origins', (text) => everyOf(text, isOrigin))

export const ConfigSchema = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'The address to listen on.' }),
  PORT: Type.Integer({ default: 8000, minimum: 0, maximum: 65_535, description: 'The port; 0 uses a free one.' }),
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
    { default: 'true', description: 'true: endpoint/bucket, for most services. false: bucket.endpoint.' },
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
  LOG_CLIENT_ADDRESS: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'off',
    description: 'on: the request log has the addresses of clients, which are personal data. For fail2ban.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      format: 'http-url',
      secret: 'a URL such as http://127.0.0.1:4318',
      description: 'A collector that gets traces (OTLP over HTTP, in JSON): http://127.0.0.1:4318. Without it, none.',
    }),
  ),
  NODE_ENV: Type.Optional(Type.String({ description: 'production refuses PINs in responses and in the log.' })),
  MASTER_KEY: Type.Optional(
    Type.String({
      description: '32 bytes in base64: openssl rand -base64 32. Without one, DATA_DIR/master.key is created.',
    }),
  ),
  MASTER_KEY_FILE: Type.Optional(
    Type.String({ description: 'A file with the master key in base64, instead of MASTER_KEY.' }),
  ),
  MASTER_KEY_PREVIOUS: Type.Optional(
    Type.String({ description: 'Former master keys, separated by commas. They still open data, and never seal.' }),
  ),
  PIN_DELIVERY: Type.Union([Type.Literal('response'), Type.Literal('console'), Type.Literal('email')], {
    default: 'response',
    description:
      'response: the PIN is in the response. console: the PIN is in the log. email: the PIN is sent by mail.',
  }),
  ALLOW_INSECURE_PIN_DELIVERY: Type.Optional(
    Type.Literal('yes', { description: 'yes allows response and console with NODE_ENV=production, too.' }),
  ),
  PIN_TTL_SECONDS: Type.Integer({
    default: 300,
    minimum: 10,
    maximum: 86_400,
    description: 'Seconds until a PIN expires.',
  }),
  PIN_MAX_ATTEMPTS: Type.Integer({
    default: 5,
    minimum: 1,
    maximum: 10,
    description: 'Wrong guesses until a PIN is void.',
  }),
  SMTP_URL: Type.Optional(
    Type.String({ description: 'The mail server: smtp://user:password@host:587 (STARTTLS) or smtps://… (TLS).' }),
  ),
  MAIL_FROM: Type.Optional(
    Type.String({
      description: 'The sender of mail: vault@example.org, or with a name: Our vault <vault@example.org>.',
    }),
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      description:
        'The Redis for pending PINs and counters: redis://[[user]:password@]host[:port][/database], rediss:// for TLS. Without it, in memory.',
    }),
  ),
  SESSION_TTL_DAYS: Type.Number({
    default: 30,
    exclusiveMinimum: 0,
    maximum: 3650,
    description: 'Days without use until a session ends; fractions allowed.',
  }),
  SESSION_MAX_DAYS: Type.Number({
    default: 365,
    exclusiveMinimum: 0,
    maximum: 3650,
    description: 'Days until a session ends even if it is used; fractions allowed.',
  }),
  MAX_FILE_BYTES: Type.Integer({
    default: 10 * GiB,
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'The maximum size of a file, in bytes.',
  }),
  QUOTA_BYTES: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'The maximum of bytes for the files and the trash of one user together. Without it there is no limit.',
    }),
  ),
  QUOTA_FILES: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'The maximum of files of one user, including the trash. Without it 1000000; with QUOTA_BYTES one for each KiB of it, from 1000 to 1000000.',
    }),
  ),
  UPLOAD_EXPIRY_HOURS: Type.Number({
    default: 168,
    exclusiveMinimum: 0,
    maximum: 876_000,
    description: 'Hours after its last append until an upload that is not complete expires; fractions allowed.',
  }),
  UPLOAD_INTERIM_RESPONSES: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description:
      'off: no interim responses (104, 102) to uploads that can be resumed, for proxies that mishandle them.',
  }),
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
    description: 'Days for which events of an account are kept for its user; fractions allowed.',
  }),
  CHANGES_DAYS: Type.Number({
    default: 90,
    exclusiveMinimum: 0,
    maximum: 36_500,
    description: 'Days for which a client can go on in the changes feed where it stopped; fractions allowed.',
  }),
  SCRUB_DAYS: Type.Number({
    default: 30,
    minimum: 0,
    maximum: 3650,
    description: 'Days within which everything stored is read back, to find damage; fractions allowed. 0: never.',
  }),
  METRICS: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'off',
    description: 'on: metrics for Prometheus at http://METRICS_HOST:METRICS_PORT/metrics, and nowhere else.',
  }),
  METRICS_HOST: Type.String({
    default: '127.0.0.1',
    description: 'The address of the metrics. They contain no personal data, but show how the server is used.',
  }),
  METRICS_PORT: Type.Integer({
    default: 9464,
    minimum: 0,
    maximum: 65_535,
    description: 'The port of the metrics; 0 uses a free one.',
  }),
  METRICS_TOKEN: Type.Optional(
    Type.String({ description: 'A token that Prometheus must send (Authorization: Bearer …) to get the metrics.' }),
  ),
  WEB: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description: 'off: no web vault at /, only a short page that says where the API documentation is.',
  }),
  READ_ONLY: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'off',
    description: 'on: files can be read, and nothing can be changed. For moving the vault to other engines.',
  }),
  RATE_LIMIT: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description: 'off disables all rate limits.',
  }),
  RATE_LIMITS: Type.Optional(
    Type.String({
      description: 'Changed limits, such as sign-in=20/1m,register=5/1h; docs/operating.md lists their names.',
    }),
  ),
  SHUTDOWN_GRACE_SECONDS: Type.Integer({
    default: 30,
    minimum: 0,
    maximum: 86_400,
    description: 'Seconds for which running transfers go on after a signal to stop; then they are cut.',
  }),
  TRUST_PROXY: Type.String({
    format: 'proxies',
    default: 'off',
    description: 'The number of proxies before the server, or their addresses and CIDRs, separated by commas.',
    'x-wanted':
      'it must be off, the number of proxies (1 to 9), or their addresses and CIDRs, separated by commas; a trusted proxy can claim any client address, so no CIDR may be wider than /8, nor than /7 in IPv6.',
  }),
  CORS_ORIGINS: Type.Optional(
    Type.String({
      format: 'origins',
      description: 'Origins whose pages may use the API in a browser, separated by commas: https://app.example.org',
      'x-wanted':
        'it must be origins such as https://app.example.org, separated by commas, without a path; * is not allowed, because any page that a user opens could then use the server through the browser.',
    }),
  ),
  TLS_CERT: Type.Optional(
    Type.String({
      description: 'A PEM file with the certificate and its intermediate certificates. With it the server uses HTTPS.',
    }),
  ),
  TLS_KEY: Type.Optional(Type.String({ description: 'The PEM file with the private key of TLS_CERT.' })),
})

export type Config = Static<typeof ConfigSchema>
