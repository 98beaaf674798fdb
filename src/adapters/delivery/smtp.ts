/** One SMTP server: hands a mail on, once, and says what became of it in words that quote nothing. */
import { createTransport } from 'nodemailer'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Letter } from './letters.ts'

export interface Mail extends Letter {
  /** `null` for nobody: the same conversation, as far as it goes without a recipient. */
  to: string | null
  /** The same for every try, so that a mail that was taken twice is known for one. */
  id: string
  date: Date
}

/**
 * What went wrong. Codes alone: the errors of the driver and the answers of servers quote addresses, and what a server
 * was sent.
 */
export interface Trouble {
  server: string
  code: string
  responseCode?: number
  /** Whether another try may go well: not after a refusal for good. */
  passing: boolean
}

/** Nothing but one plain address: no list, comment, quoted string, route or line break can be made of these characters. */
const PLAIN_ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$/

const NETWORK = ['ECONNECTION', 'ESOCKET', 'ETIMEDOUT', 'EDNS']
const CLOSE_MS = 1000

/** `url` and `from` are as `SMTP_URL` and `MAIL_FROM` were checked to be. */
export function smtpServer(url: string, from: string, timeoutMs: number) {
  const { host, ...options } = optionsOf(url)
  const [, name = '', address = ''] = /^(?:(.*?)\s*<)?([^<>]+)>?$/.exec(from) ?? []
  const connecting = {
    host,
    ...options,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    socketCloseTimeout: CLOSE_MS,
  }
  const barred = { disableFileAccess: true, disableUrlAccess: true }
  const transport = createTransport({ ...connecting, ...barred })
  /** Makes the bytes of a mail, and sends them nowhere. */
  const composer = createTransport({ streamTransport: true, buffer: true, ...barred })

  return {
    name: host,
    domain: address.slice(address.lastIndexOf('@') + 1),

    /** `null` once the server has taken the mail. Throws where the address is none that mail can go to safely. */
    async send({ to, id, date, subject, text, html }: Mail, signal: AbortSignal): Promise<Trouble | null> {
      if (to !== null && !PLAIN_ADDRESS.test(to)) throw new Error('a mail was to go to what is not one plain address')
      try {
        const mail = {
          // As objects: a text would be read as a list of addresses.
          from: { name, address },
          to: { name: '', address: to ?? address },
          subject,
          text,
          html,
          messageId: `<${id}>`,
          date,
          // RFC 3834, section 5; the second is what Exchange understands. No out-of-office notes to PINs.
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
          xMailer: false as const,
          signal,
        }
        if (to !== null) await transport.sendMail(mail)
        else await Promise.all([composer.sendMail(mail), conversation(connecting, signal)])
        return null
      } catch (error) {
        return troubleOf(error as Fault, host)
      }
    },
  }
}

/** How often a server answers between the sign-in and a mail that it took: to MAIL, RCPT, DATA, and the mail itself. */
const ANSWERS = 4

/** Connects and signs in as for a mail, and takes leave of the server after as many answers. */
async function conversation(
  { auth, ...options }: { auth?: { user: string; pass: string } },
  signal: AbortSignal,
): Promise<void> {
  const connection = new SMTPConnection(options)
  try {
    await new Promise<void>((resolve, reject) => {
      const next = (act: () => void) => (error?: Error | null) => (error ? reject(error) : act())
      const reset = (times: number) => (times === 0 ? resolve() : connection.reset(next(() => reset(times - 1))))
      connection.once('error', reject)
      connection.once('end', () => reject(Object.assign(new Error('the server hung up'), { code: 'ECONNECTION' })))
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      connection.connect(
        next(() =>
          auth && connection.allowsAuth
            ? connection.login(
                auth,
                next(() => reset(ANSWERS)),
              )
            : reset(ANSWERS),
        ),
      )
    })
  } finally {
    connection.close()
  }
}

type Fault = Error & { code?: string; originalCode?: string; responseCode?: number }

function troubleOf({ code = 'unknown', originalCode, responseCode }: Fault, server: string): Trouble {
  if (!responseCode) return { server, code: originalCode ?? code, passing: NETWORK.includes(code) }
  return { server, code, responseCode, passing: responseCode >= 400 && responseCode < 500 }
}

/**
 * `smtps://` is TLS from the start, `smtp://` must become TLS before anything but a greeting is said, and certificates are
 * verified. Only what does not leave this machine may go in clear, or under a certificate that nobody vouches for.
 */
function optionsOf(url: string) {
  const { protocol, hostname, port, username, password } = new URL(url)
  const host = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  const secure = protocol === 'smtps:'
  const here = !secure && isLoopback(host)
  return {
    host,
    ...(port && { port: Number(port) }),
    secure,
    requireTLS: !secure && !here,
    tls: { rejectUnauthorized: !here },
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
  }
}

/** By its name alone: where another name leads is for somebody else to say. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
