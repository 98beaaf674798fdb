/** Exports all files of a user as one zip file. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf, sessionOf } from '../http/caller.ts'
import { presentAccount, presentExported } from '../http/presenting.ts'
import { sendBytes } from '../http/sending.ts'
import { type EntryNames, entryNames, portableName } from '../http/zip/entry-names.ts'
import { keptBytes } from '../http/zip/kept-bytes.ts'
import { type ZipEntry, zipOf } from '../http/zip/zip.ts'
import { Export } from '../schemas/account.ts'
import { timestamp } from '../schemas/common.ts'
import type { Account } from '../vault/accounts/account.ts'
import type { ContentReader } from '../vault/crypto/content.ts'
import type { ExportedFile } from '../vault/files/export.ts'

/** The maximum of memory for an export: the bytes being sent, and an entry of `account.json` for each file. */
const EXPORT_BYTES = 4 * 1024 * 1024
const EXPORT_BYTES_PER_FILE = 300

export const exports: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/me/export',
    {
      config: {
        limits: ['exports-at-once', 'exports'],
        memoryBytes: async (request) => {
          const { usage } = await app.vault.account.describe(sessionOf(request).userId)
          return EXPORT_BYTES + EXPORT_BYTES_PER_FILE * (usage.files + usage.trashFiles)
        },
      },
      schema: {
        operationId: 'exportMe',
        summary: 'Export everything as one zip file',
        description:
          'Files are under `files/<name>`, files of the trash under `trash/<id>/<name>`. A name that Windows forbids, or that differs from another only by case or normal form, is changed. `account.json`, the last entry, has the user and each file in the zip: its own name, id, size, content type, SHA-256, times, and its `path` in the zip. If a file is changed during the export, the zip has one of its versions, and has it once. An export that breaks off cannot be resumed: request it again.',
        tags: ['account'],
        response: { 200: Export },
      },
    },
    async (request, reply) => {
      const user = await app.vault.account.describe(sessionOf(request).userId)
      const names = entryNames()
      const { begunAt, files } = app.vault.exports.begin(user.id, callerOf(request), names.keeps)
      reply.headers({
        'content-type': 'application/zip',
        'content-disposition': `attachment; filename="minikeepsafe-${timestamp(begunAt).slice(0, 10)}.zip"`,
      })
      // The length of the zip is known only after it was sent, so HEAD has none.
      if (request.method === 'HEAD') return reply.send(Readable.from([]))
      return sendBytes(reply, readerOf(zipOf(entriesOf(user, begunAt, files, names))), null)
    },
  )
}

/** `account.json` comes last and describes each file as it was written, because rows may change during the export. */
async function* entriesOf(
  user: Account,
  begunAt: number,
  files: AsyncIterable<ExportedFile>,
  names: EntryNames,
): AsyncGenerator<ZipEntry> {
  const { usage: _usage, quota: _quota, ...person } = presentAccount(user)
  const account = keptBytes()
  const add = (text: string) => account.add(Buffer.from(text))
  add(`{"exportedAt":${JSON.stringify(timestamp(begunAt))},"user":${JSON.stringify(person)},"files":[`)
  let separator = '\n'
  for await (const { file, bytes } of files) {
    const path =
      file.deletedAt === null ? `files/${names.nameFor(file.name)}` : `trash/${file.id}/${portableName(file.name)}`
    const { sizeBytes, takenAt, takenOffset: zoneMinutes } = file
    yield { path, modifiedAt: takenAt ?? file.updatedAt, zoneMinutes, sizeBytes, batches: batchesOf(bytes) }
    add(separator + JSON.stringify(presentExported(file, path)))
    separator = ',\n'
  }
  add('\n]}\n')
  const sizeBytes = account.sizeBytes()
  yield { path: 'account.json', modifiedAt: begunAt, zoneMinutes: 0, sizeBytes, batches: account.batches() }
}

async function* batchesOf(bytes: Pick<ContentReader, 'next'>): AsyncGenerator<Buffer[]> {
  for (let batch = await bytes.next(); batch; batch = await bytes.next()) yield batch
}

function readerOf(batches: AsyncGenerator<Buffer[]>): ContentReader {
  return {
    next: async () => (await batches.next()).value ?? null,
    close: async () => void (await batches.return(null)),
  }
}
