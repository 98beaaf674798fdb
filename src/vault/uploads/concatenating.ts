/** Makes one file of several uploads. */
import type { MovedPart, Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { partsFrom } from '../crypto/content.ts'
import { openPartKey, openUploadKey, sealPartKey } from '../crypto/envelope.ts'
import type { Appending } from './appending.ts'
import type { Completing } from './completing.ts'
import type { Uploads } from './uploads.ts'

/** Parts that are moved in one transaction. Other requests wait for it. */
const MOST_MOVED = 5000

export function openConcatenating({
  ports: { uploads, files, clock, chance },
  rules,
  keys,
  begin,
  claimed,
  complete,
  stop,
}: Needs<'uploads' | 'files' | 'clock' | 'chance', 'rules' | 'keys'> &
  Pick<Uploads, 'begin'> &
  Pick<Completing, 'complete'> &
  Pick<Appending, 'stop'> & {
    claimed(owner: string, id: string): Promise<Upload>
  }): Uploads['concatenate'] {
  return async (owner, given, pieces) => {
    for (const id of pieces) await stop(owner, id)
    const whole = await begin(owner, given)
    const moved = await movedParts(owner, whole, pieces).catch(cancelled)
    if ((await uploads.concatenate(owner, whole.id, moved, clock())) === 'stale') {
      await cancelled(problems.uploadInUse())
    }
    // A piece without bytes has no part that was moved.
    const left = pieces.filter((id) => !moved.some(({ upload }) => upload === id))
    for (const id of left) await uploads.remove(owner, id)
    return complete(owner, await claimed(owner, whole.id), given)

    async function cancelled(error: unknown): Promise<never> {
      await uploads.remove(owner, whole.id)
      throw error
    }
  }

  /** All parts of the uploads, behind each other, with their keys sealed for the new version. */
  async function movedParts(owner: string, whole: Upload, pieces: string[]): Promise<MovedPart[]> {
    const vaultKey = await keys.vaultKey(owner)
    const fileKey = openUploadKey(vaultKey, owner, whole)
    const moved: MovedPart[] = []
    let start = 0
    for (const id of pieces) {
      const piece = await claimed(owner, id)
      if (piece.offset !== piece.sizeBytes || piece.fileId !== null) throw problems.inconsistentLength()
      const secrets = { fileKey: openUploadKey(vaultKey, owner, piece), sizeBytes: piece.offset, parts: piece.parts }
      for await (const part of partsFrom({ files }, { id, version: id }, secrets, 0)) {
        const key = openPartKey({ ...secrets, sha256: '' }, part)
        const place = { start, sizeBytes: part.sizeBytes }
        moved.push({ upload: id, from: part.start, start, seal: sealPartKey(fileKey, chance.bytes(12), place, key) })
        if (moved.length > MOST_MOVED) throw problems.tooManyParts(MOST_MOVED)
        start += part.sizeBytes
        if (start > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
      }
    }
    return moved
  }
}
