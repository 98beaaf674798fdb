/**
 * The texts of mails. They contain nothing that a client can choose: otherwise a stranger could send text to people through this
 * server. An address is printed only if it is a valid IP address.
 */
import { isIP } from 'node:net'
import type { Notice, PinLetter } from '../../ports/sign-in.ts'

export interface Letter {
  subject: string
  text: string
  html: string
}

type Paragraph = string | { secret: string }

const WIDTH = 72

/** `now` is when the PIN was made. Locked screens and mail logs show subjects, so no subject contains the PIN. */
export function pinLetter({ kind, secret, expiresAt }: PinLetter, now: number): Letter {
  const life = `It works once, for ${lifetime(expiresAt - now)}, until ${clockTime(expiresAt)}.`
  const ifNotRequested =
    'If you did not ask for this, somebody else typed your address. You need not do anything: without this mail nobody gets in. Do not pass it on to anyone, whoever asks.'
  if (kind === 'pin') {
    return letterOf('Your minikeepsafe PIN', [
      'Your PIN to sign in to your vault:',
      { secret },
      `Type it on the device on which you asked for it. ${life}`,
      ifNotRequested,
    ])
  }
  return letterOf('Your minikeepsafe sign-in code', [
    'Your code to sign in to your vault:',
    { secret: (secret.match(/.{1,4}/g) ?? []).join(' ') },
    `Type it on the device on which you asked for it, in place of a PIN; spaces do not matter. ${life}`,
    'It is longer than a PIN because wrong PINs were tried with your address, so that PINs are paused for a while.',
    ifNotRequested,
  ])
}

export function noticeLetter({ event, at, address }: Notice): Letter {
  const circumstances = `Time: ${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC. IP address: ${isIP(address) ? address : 'unknown'}.`
  if (event === 'new-device') {
    return letterOf('A new device signed in to your vault', [
      'A device that was not known yet signed in to your minikeepsafe vault.',
      circumstances,
      'If that was you, all is well.',
      'If not: sign out that device from one of yours, and change the password of this mailbox, because whoever reads your mail can sign in.',
    ])
  }
  return letterOf('Wrong PINs for your vault', [
    'Wrong PINs were entered for your minikeepsafe vault, so four-digit PINs are paused for a while. Nobody got in with them.',
    circumstances,
    'You can sign in all the same: ask for a PIN as always. A longer code comes in its place.',
    'If you only mistyped, all is well.',
  ])
}

function letterOf(subject: string, paragraphs: Paragraph[]): Letter {
  const html = paragraphs.map((paragraph) =>
    typeof paragraph === 'string'
      ? `<p>${escaped(paragraph)}</p>`
      : `<p style="font: bold 28px monospace">${escaped(paragraph.secret)}</p>`,
  )
  return {
    subject,
    text: `${paragraphs.map((one) => (typeof one === 'string' ? wrapped(one) : `    ${one.secret}`)).join('\n\n')}\n`,
    html: `<!doctype html>\n<html lang="en"><body style="font: 16px sans-serif">\n${html.join('\n')}\n</body></html>\n`,
  }
}

function lifetime(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} seconds`
  return seconds < 7200 ? `${Math.floor(seconds / 60)} minutes` : `${Math.floor(seconds / 3600)} hours`
}

/** Without a date: only the PIN may have four digits in a row, for people and for phones that fill in codes. */
function clockTime(at: number): string {
  return `${new Date(at).toISOString().slice(11, 19)} UTC`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function wrapped(text: string): string {
  return text.replace(new RegExp(`(.{1,${WIDTH}})(?:\\s+|$)`, 'g'), '$1\n').trimEnd()
}
