/** One memory budget for all transfers. A transfer that does not fit waits in a queue, and is refused after a timeout. */
import type { ServerResponse } from 'node:http'
import { problems } from '../../problems.ts'
import { tally } from './tally.ts'

export interface PoolRules {
  totalBytes: number
  networkBytes: number
  userBytes: number
  waitMs: number
}

export interface Claim {
  bytes: number
  network: string
  /** `null` for a request without a session. */
  user: string | null
  /** The response has memory already. So this claim counts for the shares, but only the total limits it. */
  isMore?: boolean
}

export interface MemoryPool {
  /**
   * Resolves once the bytes are reserved. They are released when the response closes. Throws after `waitMs`:
   * `too-many-requests` if the share of the caller is used up, `not-ready` if the total is. Of the waiting claims that fit, the
   * pool grants the oldest one of the network with the smallest reservation. So a queue of one network does not delay others.
   * A claim that is larger than a share, or than the total, is granted when nothing else is reserved there.
   */
  claim(claim: Claim, response: ServerResponse): Promise<void>
  /** How much is reserved, and by how many transfers; how many wait. */
  state(): { totalBytes: number; reservedBytes: number; open: number; waiting: number }
}

interface Waiter {
  claim: Claim
  grant(): void
}

const RETRY_SECONDS = 5
/** This part of the total is for networks that hold nothing. So a few networks that use up their shares do not lock out others. */
const LAST_PART = 1 / 16
/** The waiting claims that are granted in one iteration of the event loop: their requests all go on in it. */
export const GRANTED_AT_ONCE = 8

export function memoryPool({ totalBytes, networkBytes, userBytes, waitMs }: PoolRules): MemoryPool {
  let reservedBytes = 0
  let open = 0
  const ofNetwork = shareOf(networkBytes)
  const ofUser = shareOf(userBytes)
  const waiting = new Set<Waiter>()
  /** `grantWaiting` is scheduled. */
  let isGranting = false

  return {
    async claim(claim, response) {
      // Claims that wait get released memory before later claims.
      if (!isGranting && fits(claim)) reserve(claim, response)
      else await waitFor(claim, response)
    },

    state: () => ({ totalBytes, reservedBytes, open, waiting: waiting.size }),
  }

  function waitFor(claim: Claim, response: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        claim,
        grant() {
          end()
          reserve(claim, response)
          resolve()
        },
      }
      const timer = setTimeout(() => {
        end()
        reject(fitsShares(claim) ? memoryExhausted() : problems.tooManyRequests('transfers at once', RETRY_SECONDS))
      }, waitMs)
      const left = () => {
        end()
        reject(problems.incompleteBody())
      }
      const end = () => {
        clearTimeout(timer)
        waiting.delete(waiter)
        response.off('close', left)
      }
      response.once('close', left)
      waiting.add(waiter)
    })
  }

  function release({ bytes, network, user }: Claim) {
    reservedBytes -= bytes
    open -= 1
    ofNetwork.add(network, -bytes)
    ofUser.add(user, -bytes)
    if (!isGranting && waiting.size > 0) grantLater()
  }

  function grantLater() {
    isGranting = true
    setImmediate(grantWaiting)
  }

  /** Once for all that was released in an iteration: thousands of connections may close at the same time. */
  function grantWaiting() {
    isGranting = false
    let left = GRANTED_AT_ONCE
    const lines = new Map<string, Waiter[]>()
    let leastBytes = Number.POSITIVE_INFINITY
    // The oldest ones are the last of their lines.
    for (const waiter of [...waiting].reverse()) {
      const { network, bytes } = waiter.claim
      const line = lines.get(network)
      if (line) line.push(waiter)
      else lines.set(network, [waiter])
      leastBytes = Math.min(leastBytes, bytes)
    }
    // Nothing is released meanwhile, so a claim that does not fit is not looked at again.
    while (left > 0 && lines.size > 0 && (reservedBytes === 0 || reservedBytes + leastBytes <= totalBytes)) {
      const network = leastReserved(lines.keys())
      const line = lines.get(network)
      let next = line?.pop()
      while (next && !fits(next.claim)) next = line?.pop()
      if (next) {
        next.grant()
        left -= 1
      } else lines.delete(network)
    }
    if (left === 0 && waiting.size > 0) grantLater()
  }

  function leastReserved(networks: Iterable<string>): string {
    let [found, least] = ['', Number.POSITIVE_INFINITY]
    for (const network of networks) {
      const reserved = ofNetwork.of(network)
      if (reserved < least) [found, least] = [network, reserved]
    }
    return found
  }

  function reserve(claim: Claim, response: ServerResponse) {
    const { bytes, network, user } = claim
    reservedBytes += bytes
    open += 1
    ofNetwork.add(network, bytes)
    ofUser.add(user, bytes)
    response.once('close', () => release(claim))
  }

  function fits(claim: Claim): boolean {
    const most = ofNetwork.of(claim.network) === 0 ? totalBytes : totalBytes * (1 - LAST_PART)
    return fitsShares(claim) && (reservedBytes === 0 || reservedBytes + claim.bytes <= most)
  }

  function fitsShares({ bytes, network, user, isMore }: Claim): boolean {
    return isMore || (ofNetwork.has(network, bytes) && ofUser.has(user, bytes))
  }
}

function shareOf(mostBytes: number) {
  const reserved = tally()
  return {
    has(client: string | null, bytes: number): boolean {
      const before = client === null ? 0 : reserved.of(client)
      return before === 0 || before + bytes <= mostBytes
    },

    add(client: string | null, bytes: number) {
      if (client !== null) reserved.add(client, bytes)
    },

    of: reserved.of,
  }
}

function memoryExhausted() {
  return problems.notReady('The memory for transfers is in use. Try again later.')
}
