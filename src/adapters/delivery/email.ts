/**
 * PINs by mail. A mail that its server does not take at once is tried again until its PIN ends; how many are held is
 * bounded, and none outlives the process.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../ports/ports.ts'
import type { PinMessenger } from '../../ports/sign-in.ts'
import { type Letter, noticeLetter, pinLetter } from './letters.ts'
import { type Mail, smtpServer, type Trouble } from './smtp.ts'

export interface EmailDelivery extends PinMessenger {
  /** Gives up what is held, at once. */
  close(): Promise<void>
}

/** Tells the operator; never with an address or a secret. */
export type Tell = (fields: object, message: string) => void

const LIMITS = {
  /** For a connection, its greeting, and each answer after it. */
  timeoutMs: 10_000,
  /** Doubled after each try. */
  firstPauseMs: 2000,
  longestPauseMs: 30_000,
  /** How long a notice is worth trying; a PIN is until it ends. */
  noticeMs: 600_000,
  /** Connections. */
  atOnce: 4,
  /** Mails under way and waiting, a few KB each. */
  held: 1000,
}

export function emailDelivery(
  settings: { url: string; from: string },
  clock: Clock,
  tell: Tell,
  changed: Partial<typeof LIMITS> = {},
): EmailDelivery {
  const limits = { ...LIMITS, ...changed }
  const server = smtpServer(settings.url, settings.from, limits.timeoutMs)
  const inTurn = turns(limits.atOnce)
  const closing = new AbortController()
  // Each mail that waits listens. Node takes more than ten for a leak, and would say so.
  setMaxListeners(0, closing.signal)
  const held = new Set<Promise<void>>()
  let refusing = false

  return {
    mode: 'email',
    deliver: (letter) => take(letter, pinLetter(letter, clock()), letter.expiresAt),
    notify: (notice) => take(notice, noticeLetter(notice), clock() + limits.noticeMs),
    async close() {
      if (held.size > 0) tell({ mails: held.size }, 'mails were given up because the server closes')
      closing.abort()
      await Promise.allSettled(held)
    },
  }

  async function take(of: { email: string | null; requestId: string }, letter: Letter, until: number): Promise<void> {
    if (held.size >= limits.held) return refuse()
    refusing &&= held.size > limits.held / 2
    const mail = { ...letter, to: of.email, id: `${randomUUID()}@${server.domain}`, date: new Date(clock()) }
    const carried = carry(mail, until, of.requestId).finally(() => held.delete(carried))
    held.add(carried)
    await carried
  }

  /** One line for each time that there is no room, not for each mail; half of it must have come free in between. */
  function refuse() {
    if (!refusing) tell({ mails: held.size }, 'too many mails wait for the mail server: new ones are refused')
    refusing = true
  }

  async function carry(mail: Mail, until: number, requestId: string): Promise<void> {
    for (let tries = 0, pauseMs = limits.firstPauseMs; ; tries += 1, pauseMs *= 2) {
      const trouble = await inTurn(() => attempt(mail, until))
      if (!trouble || closing.signal.aborted) return
      const { passing, ...fields } = trouble
      const waitMs = Math.min(pauseMs, limits.longestPauseMs)
      if (!passing || clock() + waitMs >= until) return tell({ requestId, ...fields }, 'a mail was given up')
      if (tries === 0) tell({ requestId, ...fields }, 'a mail was not taken yet; it will be tried again')
      await pause(waitMs, undefined, { signal: closing.signal }).catch(() => {})
    }
  }

  async function attempt(mail: Mail, until: number): Promise<Trouble | null> {
    if (closing.signal.aborted) return null
    if (clock() >= until) return { server: server.name, code: 'EXPIRED', passing: false }
    return server.send(mail, closing.signal)
  }
}

/** Lets at most so many act at a time, in the order in which they came. */
function turns(atOnce: number) {
  const waiting: (() => void)[] = []
  let free = atOnce
  return async <T>(act: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }
}
