/** Real mail servers on loopback: one that keeps its mails, and one that never answers. */
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { onTestFinished } from 'vitest'

export interface SunkMail {
  from: string
  to: string[]
  /** Header fields by their names in lower case. */
  headers: Record<string, string>
  plain: string
  html: string
  raw: string
  user: unknown
  secure: boolean
}

export interface MailSink {
  port: number
  url: string
  mails: SunkMail[]
  close(): Promise<void>
}

/** Self-signed, valid for `localhost` and 0.0.0.0 until 2126. It is only for tests, so its key is no secret. */
export const certFile = join(import.meta.dirname, 'tls-cert.pem')
const keyFile = join(import.meta.dirname, 'tls-key.pem')

/** Accepts every mail. Without AUTH and TLS by default. */
export async function mailSink(options: SMTPServerOptions = {}, port = 0): Promise<MailSink> {
  const mails: SunkMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    closeTimeout: 1,
    key: readFileSync(keyFile),
    cert: readFileSync(certFile),
    async onData(stream, session, done) {
      const raw = await text(stream)
      const { mailFrom, rcptTo } = session.envelope
      const to = rcptTo.map(({ address }) => address)
      const from = mailFrom ? mailFrom.address : ''
      mails.push({ from, to, user: session.user, secure: session.secure, raw, ...contentsOf(raw) })
      done()
    },
    ...options,
  })
  // A client that refuses the certificate resets the connection.
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve))
  let closed: Promise<void> | null = null
  const close = () => {
    closed ??= new Promise((resolve) => server.close(resolve))
    return closed
  }
  onTestFinished(close)
  const bound = (server.server.address() as AddressInfo).port
  return { port: bound, url: `smtp://127.0.0.1:${bound}`, mails, close }
}

/** Accepts connections and never answers. */
export async function silentServer(): Promise<{ url: string; connections: Socket[] }> {
  const connections: Socket[] = []
  const server = createServer((socket) => {
    connections.push(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of connections) socket.destroy()
    server.close()
  })
  return { url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`, connections }
}

/** An answer of the server, such as `550 No such user`. */
export function smtpError(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

/** For `expect.poll` on a busy machine. */
export const PATIENCE = { timeout: 10_000 }

export const pinIn = ({ plain }: SunkMail) => /\b\d{4}\b/.exec(plain)?.[0]

function contentsOf(raw: string) {
  const { headers, body } = entityIn(raw)
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')?.[1]
  const parts = body.split(`--${boundary}`).slice(1, -1).map(entityIn)
  const partOf = (type: string) => parts.find(({ headers }) => headers['content-type']?.startsWith(type))
  const readable = (part = { headers: {}, body: '' } as ReturnType<typeof entityIn>) =>
    part.headers['content-transfer-encoding'] === 'quoted-printable' ? unquoted(part.body) : part.body
  return { headers, plain: readable(partOf('text/plain')), html: readable(partOf('text/html')) }
}

function entityIn(raw: string): { headers: Record<string, string>; body: string } {
  const [, head = '', body = ''] = /^\s*(.*?)\r?\n\r?\n(.*)$/s.exec(raw) ?? []
  const fields = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)
  const headers = fields.map((field) => [field.split(':')[0]?.toLowerCase(), field.replace(/^[^:]*:\s*/, '')])
  return { headers: Object.fromEntries(headers), body }
}

function unquoted(body: string): string {
  return body
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
}
