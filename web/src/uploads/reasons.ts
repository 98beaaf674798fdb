/** Why a file could not be stored. */
import { isVaultError, VaultError } from '@minikeepsafe/client'

export type Reason =
  | { code: 'quota' | 'full' | 'read-only' | 'too-large' | 'type' | 'name' | 'changed' | 'network' | 'unauthorized' }
  | { code: 'conflict' }
  /** The server is busy: for so many seconds. */
  | { code: 'busy'; seconds: number }
  /** In the server's words. */
  | { code: 'other'; detail: string }

/** Reasons that hold for every other file as well. */
export const stopsAll = ({ code }: Reason): boolean => ['quota', 'full', 'read-only'].includes(code)

const USUAL_WAIT_SECONDS = 10

export async function reasonOf(error: unknown, file: Blob): Promise<Reason> {
  if (isVaultError(error, 'digest-mismatch') || (await isChanged(error, file))) return { code: 'changed' }
  if (!(error instanceof VaultError)) return { code: 'other', detail: error instanceof Error ? error.message : '' }
  const { code, status, detail, retryAfter } = error
  if (code === 'network-error' || code === 'timeout' || [502, 504].includes(status ?? 0)) return { code: 'network' }
  if (code === 'unauthorized') return { code: 'unauthorized' }
  if (code === 'file-exists') return { code: 'conflict' }
  if (code === 'quota-exceeded') return { code: 'quota' }
  if (status === 507) return { code: 'full' }
  if (code === 'read-only') return { code: 'read-only' }
  if (status === 429 || status === 503) return { code: 'busy', seconds: retryAfter ?? USUAL_WAIT_SECONDS }
  if (status === 413) return { code: 'too-large' }
  if (status === 415) return { code: 'type' }
  if (code === 'invalid-name') return { code: 'name' }
  return { code: 'other', detail }
}

/** The browser reads no file that was changed or removed after it was chosen. A request with its bytes then just fails. */
async function isChanged(error: unknown, file: Blob): Promise<boolean> {
  if (error instanceof VaultError && error.status !== null) return false
  try {
    const end = file.slice(-1)
    return (await end.arrayBuffer()).byteLength !== end.size
  } catch {
    return true
  }
}
