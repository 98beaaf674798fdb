/** One amount of memory for all transfers. A transfer for which there is none waits in a queue, and is refused after a while. */
import type { ServerResponse } from 'node:http'
import { problems } from '../../problems.ts'

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
}

export interface MemoryPool {
  /**
   * Resolves once the bytes are held, until the response closes. Throws `too-many-requests` where the caller's own share was
   * used up for `waitMs`, and `not-ready` where everybody's was. Whoever waits keeps nobody else from what there is: of those
   * who wait, each that fits is served, in their order. A claim that is larger than a share, or than all there is, is met when
   * nobody else holds anything of it.
   */
  hold(claim: Claim, response: ServerResponse): Promise<void>
}

interface Waiter {
  claim: Claim
  grant(): void
}

const RETRY_SECONDS = 5

export function memoryPool({ totalBytes, networkBytes, userBytes, waitMs }: PoolRules): MemoryPool {
  let heldBytes = 0
  const ofNetwork = shareOf(networkBytes)
  const ofUser = shareOf(userBytes)
  const waiting = new Set<Waiter>()

  return {
    async hold(claim, response) {
      if (fits(claim)) take(claim, response)
      else await turnOf(claim, response)
    },
  }

  function turnOf(claim: Claim, response: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        claim,
        grant() {
          end()
          take(claim, response)
          resolve()
        },
      }
      const timer = setTimeout(() => {
        end()
        reject(fitsShares(claim) ? everybodys() : problems.tooManyRequests('transfers at once', RETRY_SECONDS))
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

  function giveBack({ bytes, network, user }: Claim) {
    heldBytes -= bytes
    ofNetwork.add(network, -bytes)
    ofUser.add(user, -bytes)
    for (const waiter of waiting) if (fits(waiter.claim)) waiter.grant()
  }

  function take(claim: Claim, response: ServerResponse) {
    const { bytes, network, user } = claim
    heldBytes += bytes
    ofNetwork.add(network, bytes)
    ofUser.add(user, bytes)
    response.once('close', () => giveBack(claim))
  }

  function fits(claim: Claim): boolean {
    return fitsShares(claim) && (heldBytes === 0 || heldBytes + claim.bytes <= totalBytes)
  }

  function fitsShares({ bytes, network, user }: Claim): boolean {
    return ofNetwork.has(network, bytes) && ofUser.has(user, bytes)
  }
}

function shareOf(mostBytes: number) {
  const held = new Map<string, number>()
  return {
    has(client: string | null, bytes: number): boolean {
      const before = client === null ? 0 : (held.get(client) ?? 0)
      return before === 0 || before + bytes <= mostBytes
    },

    add(client: string | null, bytes: number) {
      if (client === null) return
      const now = (held.get(client) ?? 0) + bytes
      if (now > 0) held.set(client, now)
      else held.delete(client)
    },
  }
}

function everybodys() {
  return problems.notReady('The server has as many transfers under way as its memory allows.')
}
