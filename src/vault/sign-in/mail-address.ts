/**
 * E-mail addresses: as people type them, and in the one form in which they are stored and compared, in lower case and
 * with the domain in ASCII (RFC 5890, section 2.3.2.1). Quoted strings, comments and literals are not allowed. So each
 * address has one reading, and a mail cannot go to another mailbox.
 */
import { domainToASCII } from 'node:url'

/** RFC 5321, section 4.5.3.1. */
const MOST_CHARACTERS = 254
const MOST_OF_MAILBOX = 64
/** The maximum as typed, with space around it and a domain in any script. A longer text is not parsed. */
const MOST_TYPED_UNITS = 1024

/** RFC 5322, section 3.2.3: a dot-atom. */
const MAILBOX = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
/**
 * Characters of any script, and the dots of RFC 3490 (section 3.1). Other characters have a meaning in a URL, and the
 * conversion parses the domain as part of a URL.
 */
const DOMAIN = /^[\p{L}\p{M}\p{N}.\-\u3002\uff0e\uff61]+$/u
/** Labels as in RFC 1123. The last one is not a number. */
const ASCII_DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** The address as it is stored. The argument must be a valid address. */
export function mailAddress(typed: string): string {
  const { mailbox, domain } = partsOf(typed)
  return `${mailbox}@${asciiOf(domain)}`.toLowerCase()
}

/** Returns the error in an address, as the rest of a sentence about it; `null` if it is valid. */
export function mailAddressFault(typed: string): string | null {
  if (typed.length > MOST_TYPED_UNITS) return `must have at most ${MOST_CHARACTERS} characters`
  const { mailbox, domain } = partsOf(typed)
  if (mailbox === '' || domain === '') return 'must be an e-mail address, with a mailbox and a domain around an @'
  if (!MAILBOX.test(mailbox)) {
    return "must have before the @ only letters A-Z, digits and !#$%&'*+/=?^_`{|}~-, with single dots between them"
  }
  if (mailbox.length > MOST_OF_MAILBOX) return `must have at most ${MOST_OF_MAILBOX} characters before the @`
  if (!ASCII_DOMAIN.test(asciiOf(domain))) return 'must have a domain name with a dot after the @, such as example.org'
  return mailAddress(typed).length > MOST_CHARACTERS ? `must have at most ${MOST_CHARACTERS} characters` : null
}

function partsOf(typed: string): { mailbox: string; domain: string } {
  // Without the lookbehind, each character of a run of spaces would begin a search for the end.
  const address = typed.replace(/^[ \t]+|(?<![ \t])[ \t]+$/g, '')
  const at = address.lastIndexOf('@')
  return at === -1 ? { mailbox: '', domain: '' } : { mailbox: address.slice(0, at), domain: address.slice(at + 1) }
}

/** Empty for text that is not a domain in any script. */
function asciiOf(domain: string): string {
  return DOMAIN.test(domain) ? domainToASCII(domain) : ''
}
