/**
 * Sends PINs by mail. A mail that the mail server does not accept is retried until its PIN expires. The number of held mails is
 * limited, and held mails are lost when the process ends.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Clock } from '../../ports/ports.ts'
import type { PinMessenger } from '../../ports/sign-in.ts'
import { type Letter, noticeLetter, pinLetter } from './letters.ts'
import { type Mail, type MailError, smtpServer } from './smtp.ts'

export interface EmailDelivery extends PinMessenger {
  /** Drops all held mails and resolves. */
  close(): Promise<void>
}

/** Writes a log line. Never called with an address or a secret. */
export type Log = (fields: object, message: string) => void

const LIMITS = {
  /** The timeout of the connection, of the greeting, and of each answer. */
  timeoutMs: 10_000,
  /** The pause before the first retry. It doubles with each retry. */
  firstPauseMs: 2000,
  longestPauseMs: 30_000,
  /** How long a notice is retried. A PIN is retried until it expires. */
  noticeMs: 600_000,
  /** The maximum of connections. */
  atOnce: 4,
  /** The maximum of mails that are being sent or wait, a few KB each. */
  held: 1000,
}

export function emailDelivery(
  settings: { url: string; from: string },
  clock: Clock,
  log: Log,
  changed: Partial<typeof LIMITS> = {},
): EmailDelivery {
  const limits = { ...LIMITS, ...changed }
  const server = smtpServer(settings.url, settings.from, limits.timeoutMs)
  const limited = pLimit(limits.atOnce)
  const closing = new AbortController()
  // Each waiting mail adds a listener. Node would warn of a leak above ten.
  setMaxListeners(0, closing.signal)
  const held = new Set<Promise<void>>()
  let refusing = false

  return {
    mode: 'email',
    deliver: (letter) => send(letter, pinLetter(letter, clock()), letter.expiresAt),
    notify: (notice) => send(notice, noticeLetter(notice), clock() + limits.noticeMs),
    async close() {
      if (held.size > 0) log({ mails: held.size }, 'mails were given up because the server closes')
      closing.abort()
      await Promise.allSettled(held)
    },
  }

  async function send(of: { email: string | null; requestId: string }, letter: Letter, until: number): Promise<void> {
    if (held.size >= limits.held) return refuse()
    refusing &&= held.size > limits.held / 2
    const mail = { ...letter, to: of.email, id: `${randomUUID()}@${server.domain}`, date: new Date(clock()) }
    const sent = sendWithRetries(mail, until, of.requestId).finally(() => held.delete(sent))
    held.add(sent)
    await sent
  }

  /** Logs one line for each overload, not for each mail. An overload ends when half of the limit is free. */
  function refuse() {
    if (!refusing) log({ mails: held.size }, 'too many mails wait for the mail server: new ones are refused')
    refusing = true
  }

  async function sendWithRetries(mail: Mail, until: number, requestId: string): Promise<void> {
    for (let tries = 0, pauseMs = limits.firstPauseMs; ; tries += 1, pauseMs *= 2) {
      const error = await limited(() => attempt(mail, until))
      if (!error || closing.signal.aborted) return
      const { isTemporary, ...fields } = error
      const waitMs = Math.min(pauseMs, limits.longestPauseMs)
      if (!isTemporary || clock() + waitMs >= until) return log({ requestId, ...fields }, 'a mail was given up')
      if (tries === 0) log({ requestId, ...fields }, 'a mail was not taken yet; it will be tried again')
      await pause(waitMs, undefined, { signal: closing.signal }).catch(() => {})
    }
  }

  async function attempt(mail: Mail, until: number): Promise<MailError | null> {
    if (closing.signal.aborted) return null
    if (clock() >= until) return { server: server.name, code: 'EXPIRED', isTemporary: false }
    return server.send(mail, closing.signal)
  }
}
