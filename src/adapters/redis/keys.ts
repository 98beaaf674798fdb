import { createHash } from 'node:crypto'

/**
 * How much longer Redis keeps a key than its lifetime. The vault checks the lifetime by its own clock; Redis expires the key
 * later by the clock of Redis.
 */
export const GRACE_MS = 60_000

/**
 * The Redis key for a name. The name is hashed, because device ids are secret and networks are personal. Keys with the same text
 * in braces are on the same node of a cluster.
 */
export function keyOf(kind: string, name: string): string {
  return `minikeepsafe:${kind}:{${createHash('sha256').update(name).digest('base64url')}}`
}
