/** Bounds the bytes on the disk that no row counts yet: those of requests that are not complete. */
import type { VaultRules } from '../../ports/ports.ts'
import { problems } from '../../problems.ts'

/**
 * The maximum, as a multiple of the quota. A client whose connection died may send a large file again while the server still waits
 * for the rest.
 */
const QUOTAS = 2

/** The bytes of one request. */
export interface UnrecordedBytes {
  /** Throws `quota-exceeded` if the user's requests have too many bytes together. One request alone is never refused. */
  add(bytes: number): void
  /** They are recorded or deleted now. */
  end(): void
}

/** Without this bound, n parallel requests of a user can write n times the quota to the disk. */
export type CountUnrecorded = (owner: string, isUpload: boolean) => UnrecordedBytes

export function openUnrecorded({ quota }: Pick<VaultRules, 'quota'>): CountUnrecorded {
  const byOwner = new Map<string, number>()
  return (owner, isUpload) => {
    let own = 0
    return { add, end }

    function add(bytes: number) {
      if (quota.bytes === null) return
      const all = (byOwner.get(owner) ?? 0) + bytes
      if (all > QUOTAS * quota.bytes && own + bytes < all) {
        // Before they are deleted: otherwise the other requests would be refused meanwhile.
        end()
        throw problems.quotaExceeded(quota.bytes, 'bytes', { isUpload })
      }
      own += bytes
      byOwner.set(owner, all)
    }

    function end() {
      const others = (byOwner.get(owner) ?? 0) - own
      own = 0
      if (others > 0) byOwner.set(owner, others)
      else byOwner.delete(owner)
    }
  }
}
