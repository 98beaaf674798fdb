/** Who is counted as one: an IPv4 address, or the /64 of an IPv6 address, since whoever has one of its addresses has all. */
import { BlockList, isIP } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'

/** A connection that was reset before it was accepted has no address; nor has a socket of the system's own. */
export function networkOf(address: string | undefined): string {
  return address && isIP(address) ? normalizeIP(address) : 'unknown'
}

/** Whether an address is a proxy's: one of these addresses and CIDRs, or whom this function tells, or nobody's. */
export function proxyCheck(
  trusted: string[] | ((address: string, hop: number) => boolean) | false,
): (address: string | undefined) => boolean {
  if (!trusted) return () => false
  if (typeof trusted === 'function') return (address) => trusted(address ?? '', 0)
  const proxies = new BlockList()
  for (const network of trusted) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) proxies.addAddress(address, family)
    else proxies.addSubnet(address, Number(prefix), family)
  }
  return (address = '') => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
    return isIP(plain) !== 0 && proxies.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
  }
}
