import { createHash } from 'node:crypto'

/**
 * What Redis keeps outlives its time by the vault's clock, by which it is judged, by so much; then Redis forgets it by
 * its own.
 */
export const GRACE_MS = 60_000

/**
 * The key of what is kept under a name. Hashed: device ids are secrets, and networks are nobody's business. Keys with the
 * same text in braces lie on the same node of a cluster.
 */
export function keyOf(kind: string, name: string): string {
  return `minikeepsafe:${kind}:{${createHash('sha256').update(name).digest('base64url')}}`
}
