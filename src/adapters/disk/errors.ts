/** Maps errors of the disk while blobs are written or deleted to the codes that the port promises. */
import type { DiskBlobs } from './blobs.ts'

const PROMISED: Record<string, string> = { EDQUOT: 'ENOSPC', EACCES: 'EROFS', EPERM: 'EROFS', ENFILE: 'EMFILE' }

/** Wraps the operations that write. Reads are not wrapped: an unreadable blob does not mean that the storage is read-only. */
export function mapErrors(blobs: DiskBlobs): DiskBlobs {
  return {
    ...blobs,
    put: (blob, batches) => blobs.put(blob, batches).catch(rethrow),
    delete: (gone) => blobs.delete(gone).catch(rethrow),
    closeRun: (run) => blobs.closeRun(run).catch(rethrow),
    probe: () => blobs.probe().catch(rethrow),
  }
}

function rethrow(error: NodeJS.ErrnoException): never {
  const code = PROMISED[error.code ?? '']
  // Maps only errors of the file system: `put` may also fail with an error of the connection that the bytes come from.
  if (code === undefined || error.syscall === undefined || error.syscall === 'read') throw error
  throw Object.assign(new Error(`UPLOADS_DIR cannot be written (${error.code})`, { cause: error }), { code })
}
