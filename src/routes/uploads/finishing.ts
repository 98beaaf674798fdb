/** Runs an append of either protocol to its end: to the file, if the upload is complete with it. */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sessionOf } from '../../http/caller.ts'
import { readForm } from '../../http/forms/read-form.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Receive } from '../../vault/files/receiving.ts'
import type { Append, Appended } from '../../vault/uploads/uploads.ts'
import type { Vault } from '../../vault/vault.ts'
import { whileAlive } from './interim.ts'
import type { UploadContext } from './requests.ts'
import { type Terms, termsIn } from './terms.ts'

/** The server may have to read a large upload back at its end. Interim responses then tell the client that the request runs. */
export async function appendAndFinish(
  { vault, interim }: UploadContext,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
  append: (upload: Upload) => Append,
): Promise<Appended> {
  const { userId } = sessionOf(request)
  return whileAlive(reply, interim, async () => {
    const appended = await vault.uploads.append(userId, id, append)
    const terms = termsIn(appended.upload)
    return appended.isWhole && terms.form !== undefined ? finishForm(vault, request, appended.upload, terms) : appended
  })
}

/** A form has more bytes than its file. So the bytes of the file are stored once more; no other upload needs that. */
async function finishForm(
  vault: Vault,
  request: FastifyRequest,
  upload: Upload,
  { form = '', sha256 }: Terms,
): Promise<Appended> {
  const { userId } = sessionOf(request)
  const hash = createHash('sha256')
  async function* bytes() {
    for await (const chunk of vault.uploads.read(userId, upload)) {
      hash.update(chunk)
      yield chunk
    }
  }
  const read = async (receive: Receive) => {
    const found = await readForm(request, { contentType: form, bytes: bytes() }, receive)
    if (sha256 !== null && hash.digest('hex') !== sha256) throw problems.digestMismatch('Repr-Digest')
    return found
  }
  const onConflict = upload.onConflict === 'rename' ? 'rename' : 'fail'
  const placement = await vault.files.add(userId, read, { announced: null, onConflict })
  await vault.uploads.remove(userId, upload.id)
  const { id: fileId, name: fileName } = placement.file
  return { upload: { ...upload, fileId, fileName }, isWhole: true, placement }
}
