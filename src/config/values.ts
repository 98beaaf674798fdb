/** Checks of single values that a type cannot express. */
import { isIP } from 'node:net'

const ADDRESS = "[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"
const SENDER = new RegExp(`^(?:${ADDRESS}|[^<>"\\p{C}]*<${ADDRESS}>)$`, 'u')

/** The items of a comma-separated list. */
export function listOf(text: string): string[] {
  return text.split(',').map((item) => item.trim())
}

/** An address, or a name and an address. */
export function isSender(text = ''): boolean {
  return SENDER.test(text)
}

export function isSmtpUrl(text = ''): boolean {
  try {
    const { protocol, hostname, username, password, pathname, search, hash } = new URL(text)
    for (const part of [username, password]) decodeURIComponent(part)
    const isBare = ['', '/'].includes(pathname) && search === '' && hash === ''
    return /^smtps?:$/.test(protocol) && hostname !== '' && isBare && (username === '') === (password === '')
  } catch {
    return false
  }
}

export function isRedisUrl(text: string): boolean {
  try {
    const { protocol, hostname, username, password, pathname, search, hash } = new URL(text)
    for (const part of [username, password]) decodeURIComponent(part)
    const isBare = /^(\/\d{0,4})?$/.test(pathname) && search === '' && hash === ''
    return /^rediss?:$/.test(protocol) && hostname !== '' && isBare && (username === '' || password !== '')
  } catch {
    return false
  }
}

export function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, search, hash } = new URL(text)
  return /^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '')
}

export function everyOf(text: string, is: (item: string) => boolean): boolean {
  return listOf(text).every(is)
}

/** An address or a CIDR. Refuses CIDRs that contain far more than intended, such as 0.0.0.0/0 or all IPv4 addresses in IPv6. */
export function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? []
  const version = isIP(address)
  if (version === 0 || prefix === undefined) return version !== 0
  const [widest, narrowest] =
    version === 4 ? [8, 32] : [address.startsWith('::') || /^0+:/.test(address) ? 128 : 7, 128]
  return Number(prefix) >= widest && Number(prefix) <= narrowest
}

export function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text
}
