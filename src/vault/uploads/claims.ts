/** Which uploads this process has claimed last. An upload that no other process has claimed since needs no new claim. */
import type { Upload } from '../../ports/uploads.ts'
import type { Needs } from '../context.ts'

/** Claims that are remembered. A forgotten one costs a transaction. */
const MOST = 10_000

/** The upload, taken from any other append, in any process; `null` if there is none. */
export type Claim = (owner: string, id: string) => Promise<Upload | null>

export function openClaims({ ports: { uploads } }: Needs<'uploads'>, most = MOST): Claim {
  const ours = new Map<string, number>()
  return async (owner, id) => {
    const known = ours.get(id)
    const found = known === undefined ? null : await uploads.find(owner, id)
    const claimed = found && found.claim === known ? found : await uploads.claim(owner, id)
    // The last used claim is at the end.
    ours.delete(id)
    if (claimed) ours.set(id, claimed.claim)
    const [oldest] = ours.keys()
    if (ours.size > most && oldest !== undefined) ours.delete(oldest)
    return claimed
  }
}
