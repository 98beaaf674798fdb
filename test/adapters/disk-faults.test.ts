import { expect, it, onTestFinished } from 'vitest'
import { diskBlobs } from '../../src/adapters/disk/blobs.ts'
import { mapErrors } from '../../src/adapters/disk/errors.ts'
import { blobStoreContract } from '../contracts/blob-store.ts'
import { temporaryFolder } from '../support/app.ts'

async function store() {
  const blobs = await diskBlobs(await temporaryFolder())
  onTestFinished(blobs.close)
  return blobs
}

blobStoreContract('disk, with its faults told,', async () => mapErrors(await store()))

it.each([
  ['EDQUOT', 'write', 'ENOSPC'],
  ['ENOSPC', 'write', 'ENOSPC'],
  ['EACCES', 'open', 'EROFS'],
  ['EPERM', 'unlink', 'EROFS'],
  ['EROFS', 'rmdir', 'EROFS'],
  ['EMFILE', 'open', 'EMFILE'],
  ['ENFILE', 'open', 'EMFILE'],
  ['EIO', 'write', 'EIO'],
  // Of the connection that the bytes come from.
  ['EPERM', 'read', 'EPERM'],
  ['EACCES', undefined, 'EACCES'],
])('%s in %s is told as %s', async (code, syscall, told) => {
  const fail = () => Promise.reject(Object.assign(new Error('a fault'), { code, syscall }))
  const blobs = mapErrors({ ...(await store()), put: fail, delete: fail, closeRun: fail })
  await expect(blobs.put('run/a', (async function* () {})())).rejects.toMatchObject({ code: told })
  await expect(blobs.delete(['run/a'])).rejects.toMatchObject({ code: told })
  await expect(blobs.closeRun('run')).rejects.toMatchObject({ code: told })
})
