/** Makes an upload with all its bytes a file. */
import { createHash } from 'node:crypto'
import type { Upload } from '../../ports/uploads.ts'
import { Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openUploadKey } from '../crypto/envelope.ts'
import type { Files } from '../files/files.ts'
import { contentOf } from './reading.ts'
import type { RunningHashes } from './running-hashes.ts'
import type { PartBytes, StorePart } from './storing.ts'
import type { Appended, Finish, Form } from './uploads.ts'

export interface Completing {
  /** The upload has all its bytes. A request that asks again while it runs gets the same answer. */
  complete(owner: string, upload: Upload, finish: Finish): Promise<Appended>
}

interface WholeUpload extends Upload {
  name: string
  sizeBytes: number
}

/** Statuses of a form that can never become a file: it is malformed, or its file has a wrong name or is too large. */
const NEVER_A_FILE = [400, 413]

export function openCompleting({
  ports,
  keys,
  placing,
  hashes,
  store,
  add,
  drop,
}: Needs<'uploads' | 'files' | 'blobs', 'keys' | 'placing'> &
  Pick<Files, 'add'> & {
    hashes: RunningHashes
    store: StorePart
    drop(owner: string, id: string): Promise<boolean>
  }): Completing {
  const { uploads } = ports
  const running = new Map<string, Promise<Appended>>()

  return {
    complete(owner, upload, finish) {
      const known = running.get(upload.id)
      if (known) return known
      const completing = complete(owner, upload, finish).finally(() => running.delete(upload.id))
      running.set(upload.id, completing)
      return completing
    },
  }

  async function complete(owner: string, upload: Upload, finish: Finish): Promise<Appended> {
    try {
      if (finish.form) return await completeForm(owner, upload, finish.form)
      return await completeFile(owner, { ...upload, name: upload.name as string, sizeBytes: upload.offset }, finish)
    } catch (error) {
      // Another process was faster.
      const now =
        error instanceof Problem && error.code === 'upload-not-found' && (await uploads.find(owner, upload.id))
      if (now && now.fileId !== null) return { upload: now, isWhole: true, placement: null }
      throw error
    }
  }

  /** A form has more bytes than its file. So the bytes of the file are stored once more; no other upload needs that. */
  async function completeForm(owner: string, upload: Upload, form: Form): Promise<Appended> {
    const onConflict = upload.onConflict === 'rename' ? 'rename' : 'fail'
    const source = { upload: upload.id, received: upload.offset }
    let damage: unknown = null
    async function* bytes() {
      try {
        const fileKey = openUploadKey(await keys.vaultKey(owner), owner, upload)
        for await (const chunks of contentOf(ports, upload, fileKey)) yield* chunks
      } catch (error) {
        damage = error
        throw error
      }
    }
    try {
      const placement = await add(owner, (receive) => form.read(bytes(), receive), {
        announced: null,
        onConflict,
        source,
      })
      hashes.forget(owner, upload.id)
      const { id: fileId, name: fileName } = placement.file
      return { upload: { ...upload, fileId, fileName }, isWhole: true, placement }
    } catch (error) {
      // The reader of the form would say that the form is malformed.
      if (damage) throw damage
      if (error instanceof Problem && NEVER_A_FILE.includes(error.status)) await drop(owner, upload.id)
      throw error
    }
  }

  async function completeFile(owner: string, upload: WholeUpload, finish: Finish): Promise<Appended> {
    const fileKey = openUploadKey(await keys.vaultKey(owner), owner, upload)
    // A file without bytes has one part, too.
    const whole =
      upload.parts === 0
        ? { ...upload, ...(await store(owner, upload, fileKey, emptyPart())), name: upload.name, sizeBytes: 0 }
        : upload
    const sha256 = await digestOf(owner, whole, fileKey)
    if (finish.sha256 !== null && finish.sha256 !== sha256) {
      await drop(owner, whole.id)
      throw problems.digestMismatch('Repr-Digest')
    }
    return place(owner, whole, fileKey, sha256, finish)
  }

  async function place(
    owner: string,
    { onConflict, contentType, name, ...whole }: WholeUpload,
    fileKey: Buffer,
    sha256: string,
    { replaced, taken, guard }: Finish,
  ): Promise<Appended> {
    const content = {
      fileKey,
      sizeBytes: whole.sizeBytes,
      parts: whole.parts,
      sha256,
      blob: null,
      version: whole.id,
      source: null,
      offer: <Answer>(commit: () => Promise<Answer>) => commit(),
    }
    const placement = await placing.attempts(owner, name, async () => {
      const spot =
        onConflict === 'replace'
          ? await placing.currentSpot(owner, name)
          : await placing.spotFor(owner, name, content, onConflict)
      guard(spot.current)
      const type = onConflict === 'replace' ? contentType : (spot.current?.contentType ?? contentType)
      return placing.place(owner, type, content, spot, replaced, taken)
    })
    hashes.forget(owner, whole.id)
    const { id: fileId, name: fileName } = placement.file
    return { upload: { ...whole, onConflict, contentType, name, fileId, fileName }, isWhole: true, placement }
  }

  /** If this process has not received all bytes in order, it reads them back. */
  async function digestOf(owner: string, upload: WholeUpload, fileKey: Buffer): Promise<string> {
    const known = hashes.of(owner, upload)
    if (known) return known.digest('hex')
    const hash = createHash('sha256')
    for await (const chunks of contentOf(ports, upload, fileKey)) for (const chunk of chunks) hash.update(chunk)
    hashes.keep(owner, upload.id, upload.offset, hash.copy())
    return hash.digest('hex')
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const emptyPart = (): PartBytes => ({ bytes: nothing(), hash: null, overheadBytes: 0, check() {} })
