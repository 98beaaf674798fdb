/** Begins an upload. An upload that is certain to be refused at its end is refused now. */
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { sealUploadKey } from '../crypto/envelope.ts'
import { fileName } from '../files/names.ts'
import { refusals } from '../files/placing.ts'
import type { NewUpload, Uploads } from './uploads.ts'

/** The maximum of one user's uploads that are not complete. */
const MOST_OPEN = 1000

export function openBeginning({
  ports: { uploads, clock, chance },
  rules,
  keys,
  admission,
  placing,
  trash,
  refuseQuota,
}: Needs<'uploads' | 'clock' | 'chance', 'rules' | 'keys' | 'admission' | 'placing' | 'trash'> & {
  refuseQuota(owner: string, bytes: number, isUpload: boolean): Promise<void>
}): Uploads['begin'] {
  return async (owner, { name: anyName, sha256, replaced, taken: _taken, guard, form, ...given }) => {
    const name = anyName === null ? null : fileName(anyName)
    const fileBytes = Math.max(0, (given.sizeBytes ?? 0) - (form?.overheadBytes ?? 0))
    if (fileBytes > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
    await admission.admit()
    const vaultKey = await keys.vaultKey(owner)
    if (name !== null) await refuseName(owner, name, { ...given, sha256, replaced, guard })
    await refuseQuota(owner, fileBytes, false)
    const [id, now] = [chance.id(), clock()]
    const seal = sealUploadKey(vaultKey, chance.bytes(12), owner, id, chance.bytes(32))
    const times = { createdAt: now, touchedAt: now }
    const upload = { id, name, ...given, offset: 0, parts: 0, seal, ...times, claim: 0, fileId: null, fileName: null }
    let answer = await uploads.create(owner, upload, MOST_OPEN)
    if (answer === 'full' && (await trash.expireOf(owner))) answer = await uploads.create(owner, upload, MOST_OPEN)
    if (answer === 'gone') throw problems.unauthorized()
    if (answer === 'full') throw problems.tooManyUploads(MOST_OPEN)
    return upload
  }

  /** Throws if the file of the name, or the number of files, is certain to refuse the upload at its end. */
  async function refuseName(
    owner: string,
    name: string,
    { onConflict, sizeBytes, sha256, replaced, guard }: Omit<NewUpload, 'name' | 'taken' | 'form'>,
  ): Promise<void> {
    for (;;) {
      const { current, used } = await placing.currentSpot(owner, name)
      guard(current)
      if (onConflict === 'fail' && current && current.sha256 !== sha256) throw problems.fileExists()
      // A version of another length has other bytes. One of the same length may have the same.
      const isOther = current !== null && sizeBytes !== null && sizeBytes !== current.sizeBytes
      const keepsReplaced = isOther && onConflict === 'replace' && replaced === 'trash'
      if ((current && !keepsReplaced) || used.files < rules.quota.files) return
      if (!(await trash.expireOf(owner))) throw refusals['quota-files'](rules, keepsReplaced)
    }
  }
}
