/** Makes one file of several uploads. */
import type { Part } from '../../ports/files.ts'
import type { MovedPart, Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { partsFrom } from '../crypto/content.ts'
import { openPartKey, openUploadKey, sealPartKey } from '../crypto/envelope.ts'
import type { Appending } from './appending.ts'
import type { Completing } from './completing.ts'
import { contentOf } from './reading.ts'
import type { StorePart } from './storing.ts'
import type { NewUpload, Uploads } from './uploads.ts'

/** Parts that are moved in one transaction. Other requests wait for it. */
const MOST_MOVED = 5000
/** If the parts are shorter on average, their bytes are stored again as one part of at most 20 MiB. */
const SHORT_BYTES = 4096
/** Parts whose keys are sealed in one piece, in about 2 ms. */
const SEALED_AT_ONCE = 100

type SizedPart = MovedPart & Pick<Part, 'sizeBytes'>

export function openConcatenating({
  ports,
  rules,
  keys,
  turns,
  store,
  begin,
  claimed,
  drop,
  complete,
  stop,
}: Needs<'uploads' | 'files' | 'blobs' | 'clock' | 'chance', 'rules' | 'keys' | 'turns'> &
  Pick<Uploads, 'begin'> &
  Pick<Completing, 'complete'> &
  Pick<Appending, 'stop'> & {
    store: StorePart
    claimed(owner: string, id: string): Promise<Upload>
    drop(owner: string, id: string): Promise<boolean>
  }): Uploads['concatenate'] {
  const { uploads, files, clock, chance } = ports
  return async (owner, given, pieces) => {
    if (new Set(pieces).size < pieces.length) throw problems.uploadInUse()
    for (const id of pieces) await stop(owner, id)
    const whole = await begin(owner, given)
    const left = await join(owner, whole, pieces, given).catch(async (error) => {
      await drop(owner, whole.id)
      throw error
    })
    for (const id of left) await drop(owner, id)
    return complete(owner, await claimed(owner, whole.id), given)
  }

  /** Returns the pieces that are still there. */
  async function join(owner: string, whole: Upload, pieces: string[], given: NewUpload): Promise<string[]> {
    const moved = await movedParts(owner, whole, pieces)
    const short = areShort(moved)
    if (short) await storeTogether(owner, whole, pieces)
    // Short parts move to a temporary upload, which is then deleted. So one of two concurrent requests for the same pieces succeeds.
    const { id } = short ? await begin(owner, { ...given, name: null, sizeBytes: null }) : whole
    const answer = await uploads.concatenate(owner, id, moved, clock())
    if (short) await drop(owner, id)
    if (answer === 'stale') throw problems.uploadInUse()
    // A piece without bytes has no part that was moved.
    return pieces.filter((piece) => !moved.some(({ upload }) => upload === piece))
  }

  async function storeTogether(owner: string, whole: Upload, pieces: string[]): Promise<void> {
    const vaultKey = await keys.vaultKey(owner)
    const found = await Promise.all(pieces.map((id) => claimed(owner, id)))
    async function* bytes() {
      for (const piece of found) {
        for await (const chunks of contentOf(ports, piece, openUploadKey(vaultKey, owner, piece))) yield* chunks
      }
    }
    // Until the pieces are removed, their bytes count twice.
    const overheadBytes = found.reduce((sum, { offset }) => sum + offset, 0)
    const part = { bytes: bytes(), hash: null, overheadBytes, check() {} }
    await store(owner, whole, openUploadKey(vaultKey, owner, whole), part).catch(async (error) => {
      // Another request may have concatenated them meanwhile. Then this throws `upload-not-found`.
      for (const id of pieces) await claimed(owner, id)
      throw error
    })
  }

  /** All parts of the uploads, behind each other, with their keys sealed for the new version. */
  async function movedParts(owner: string, whole: Upload, pieces: string[]): Promise<SizedPart[]> {
    const vaultKey = await keys.vaultKey(owner)
    const fileKey = openUploadKey(vaultKey, owner, whole)
    const moved: SizedPart[] = []
    let start = 0
    for (const id of pieces) {
      await turns.next(owner)
      const piece = await claimed(owner, id)
      if (piece.offset !== piece.sizeBytes || piece.fileId !== null) throw problems.inconsistentLength()
      const secrets = { fileKey: openUploadKey(vaultKey, owner, piece), sizeBytes: piece.offset, parts: piece.parts }
      for await (const part of partsFrom({ files }, { id, version: id }, secrets, 0)) {
        const key = openPartKey({ ...secrets, sha256: '' }, part)
        const place = { start, sizeBytes: part.sizeBytes }
        moved.push({ upload: id, from: part.start, ...place, seal: sealPartKey(fileKey, chance.bytes(12), place, key) })
        if (moved.length > MOST_MOVED) throw problems.tooManyParts(MOST_MOVED)
        start += part.sizeBytes
        if (moved.length % SEALED_AT_ONCE === 0) await turns.next(owner)
        if (start > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
      }
    }
    return moved
  }
}

function areShort(parts: SizedPart[]): boolean {
  const bytes = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return parts.length > 1 && bytes < parts.length * SHORT_BYTES
}
