/** Sends one mail to an SMTP server, once. Its errors quote nothing of the mail or of the server's answers. */
import { createTransport } from 'nodemailer'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Letter } from './letters.ts'

export interface Mail extends Letter {
  /** `null` for no recipient: the SMTP dialogue takes the same number of steps, and no mail is sent. */
  to: string | null
  /** The same for each retry, so a mail that was accepted twice can be recognised as one. */
  id: string
  date: Date
}

/**
 * An error of a delivery. It has only codes: errors of the driver and answers of servers quote addresses and what was sent.
 */
export interface MailError {
  server: string
  code: string
  responseCode?: number
  /** Whether a retry may succeed. False after a permanent refusal. */
  isTemporary: boolean
}

/** One plain address. These characters cannot form a list, comment, quoted string, route or line break. */
const PLAIN_ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}$/

const NETWORK = ['ECONNECTION', 'ESOCKET', 'ETIMEDOUT', 'EDNS']
const CLOSE_MS = 1000

/** `url` and `from` are the checked settings `SMTP_URL` and `MAIL_FROM`. */
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
  const noFileAccess = { disableFileAccess: true, disableUrlAccess: true }
  const transport = createTransport({ ...connecting, ...noFileAccess })
  /** Composes the bytes of a mail without sending it. */
  const composer = createTransport({ streamTransport: true, buffer: true, ...noFileAccess })

  return {
    name: host,
    domain: address.slice(address.lastIndexOf('@') + 1),

    /** `null` once the server has accepted the mail. Throws if the address is not a plain address. */
    async send({ to, id, date, subject, text, html }: Mail, signal: AbortSignal): Promise<MailError | null> {
      if (to !== null && !PLAIN_ADDRESS.test(to)) throw new Error('a mail was to go to what is not one plain address')
      try {
        const mail = {
          // As objects: a string would be parsed as a list of addresses.
          from: { name, address },
          to: { name: '', address: to ?? address },
          subject,
          text,
          html,
          messageId: `<${id}>`,
          date,
          // Prevent automatic replies to PINs: RFC 3834, section 5, and the header that Exchange uses.
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
          xMailer: false as const,
          signal,
        }
        if (to !== null) await transport.sendMail(mail)
        else await Promise.all([composer.sendMail(mail), dialogue(connecting, signal)])
        return null
      } catch (error) {
        return mailErrorOf(error as DriverError, host)
      }
    },
  }
}

/** The number of answers of a server between the sign-in and an accepted mail: to MAIL, RCPT, DATA, and the mail itself. */
const ANSWERS = 4

/** Connects and signs in as for a mail, and closes the connection after as many answers. */
async function dialogue(
  { auth, ...options }: { auth?: { user: string; pass: string } },
  signal: AbortSignal,
): Promise<void> {
  const connection = new SMTPConnection(options)
  try {
    await new Promise<void>((resolve, reject) => {
      const next = (step: () => void) => (error?: Error | null) => (error ? reject(error) : step())
      const reset = (times: number) => (times === 0 ? resolve() : connection.reset(next(() => reset(times - 1))))
      connection.once('error', reject)
      connection.once('end', () =>
        reject(Object.assign(new Error('the server closed the connection'), { code: 'ECONNECTION' })),
      )
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

type DriverError = Error & { code?: string; originalCode?: string; responseCode?: number }

function mailErrorOf({ code = 'unknown', originalCode, responseCode }: DriverError, server: string): MailError {
  if (!responseCode) return { server, code: originalCode ?? code, isTemporary: NETWORK.includes(code) }
  return { server, code, responseCode, isTemporary: responseCode >= 400 && responseCode < 500 }
}

/**
 * `smtps://` uses TLS from the start. `smtp://` must change to TLS (STARTTLS) right after the greeting. Certificates are
 * verified. Only a connection to this machine may be without TLS, or with an untrusted certificate.
 */
function optionsOf(url: string) {
  const { protocol, hostname, port, username, password } = new URL(url)
  const host = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  const secure = protocol === 'smtps:'
  const isLocal = !secure && isLoopback(host)
  return {
    host,
    ...(port && { port: Number(port) }),
    secure,
    requireTLS: !secure && !isLocal,
    tls: { rejectUnauthorized: !isLocal },
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
  }
}

/** Checks only the host name: DNS decides where any other name leads, and it may lie. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
