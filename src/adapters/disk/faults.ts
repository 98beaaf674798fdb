/** Faults of the disk while blobs are written or deleted, told by the codes that `ports.ts` promises. */
import type { DiskBlobs } from './blobs.ts'

const PROMISED: Record<string, string> = { EDQUOT: 'ENOSPC', EACCES: 'EROFS', EPERM: 'EROFS', ENFILE: 'EMFILE' }

/** The same blobs. What only reads is left alone: a blob that may not be read is no storage that cannot be written. */
export function tellingFaults(blobs: DiskBlobs): DiskBlobs {
  return {
    ...blobs,
    put: (blob, batches) => blobs.put(blob, batches).catch(tell),
    delete: (gone) => blobs.delete(gone).catch(tell),
    closeRun: (run) => blobs.closeRun(run).catch(tell),
  }
}

function tell(error: NodeJS.ErrnoException): never {
  const code = PROMISED[error.code ?? '']
  // Only what the file system said: the bytes may break off with a fault of the connection that they come from.
  if (code === undefined || error.syscall === undefined || error.syscall === 'read') throw error
  throw Object.assign(new Error(`UPLOADS_DIR cannot be written (${error.code})`, { cause: error }), { code })
}
