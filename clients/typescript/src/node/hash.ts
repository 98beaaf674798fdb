import { createHash } from 'node:crypto'
import type { Hash } from '../sha256.ts'

export function nodeSha256(): Hash {
  const hash = createHash('sha256')
  return {
    update(bytes) {
      hash.update(bytes)
    },
    digest: () => hash.digest(),
  }
}
