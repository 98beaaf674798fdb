/** Which addresses are counted as one network, and which addresses are proxies. */
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

/** An IPv4 address, or the /64 of an IPv6 address: a client with one address of a /64 usually has all of them. */
export function networkOf(ip: string | undefined): string {
  if (ip && isIPv4(ip)) return ip
  // A connection that was reset before it was accepted has no address. Neither has a Unix socket.
  if (!ip || !isIPv6(ip)) return 'unknown'
  const groups = groupsOf(ip)
  const [high = 0, low = 0] = groups.slice(6)
  // An IPv4-mapped address (RFC 4291, section 2.5.5.2), as a socket for both families reports it.
  const isMapped = groups.slice(0, 6).join() === [0, 0, 0, 0, 0, 0xffff].join()
  if (isMapped) return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The address of the client of a request: the connection's, or the one that the trusted proxies report. */
export type ClientAddress = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string | undefined

/** As the framework has it in `request.ip`, before the framework has the request. */
export function clientAddress(isProxy: ProxyCheck): ClientAddress {
  return ({ headers, socket: { remoteAddress } }) => {
    if (!isProxy(remoteAddress, 0)) return remoteAddress
    // From the last proxy to the client.
    const hops = [headers['x-forwarded-for'] ?? []].flat().join().split(',').reverse()
    const client = hops.findIndex((hop, n) => !isProxy(hop.trim(), n + 1))
    return hops.at(client)?.trim()
  }
}

/** `hop` is 0 for the address of the connection, 1 for the address that its proxy reports, and so on. */
export type ProxyCheck = (address: string | undefined, hop: number) => boolean

/** Whether an address is a proxy's, by a list of addresses and CIDRs, by a function, or never with `false`. */
export function proxyCheck(trusted: string[] | ((address: string, hop: number) => boolean) | false): ProxyCheck {
  if (!trusted) return () => false
  if (typeof trusted === 'function') return (address, hop) => trusted(address ?? '', hop)
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

/** The eight groups of an IPv6 address (RFC 4291, section 2.2). */
function groupsOf(ip: string): number[] {
  const inHex = ip
    .replace(/%.*$/, '')
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
      [a * 256 + Number(b), c * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
    )
  const [before = [], after = []] = inHex
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16))))
  return [...before, ...new Array(8 - before.length - after.length).fill(0), ...after]
}
