/** Everything of a user in one zip file. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
import { presentAccount, presentExported } from '../http/presenting.ts'
import { sendBytes } from '../http/sending.ts'
import { entryNames, portableName } from '../http/zip/entry-names.ts'
import { keptBytes } from '../http/zip/kept-bytes.ts'
import { type ZipEntry, zipOf } from '../http/zip/zip.ts'
import { Export } from '../schemas/account.ts'
import { timestamp } from '../schemas/common.ts'
import type { Account } from '../vault/accounts/account.ts'
import type { ContentReader } from '../vault/crypto/content.ts'
import type { ExportedFile } from '../vault/files/export.ts'

/** What an export may hold of the memory: the bytes under way, and for each file what is said of it at the end. */
const EXPORT_BYTES = 4 * 1024 * 1024
const EXPORT_BYTES_PER_FILE = 300

export const exports: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/me/export',
    {
      config: {
        limits: ['exports-at-once', 'exports'],
        holds: async ({ session }) => {
          const { usage } = await app.vault.account.describe(session.userId)
          return EXPORT_BYTES + EXPORT_BYTES_PER_FILE * (usage.files + usage.trashFiles)
        },
      },
      schema: {
        operationId: 'exportMe',
        summary: 'Take everything out, as one zip file',
        description:
          'Files stand under `files/<name>`, those of the trash under `trash/<id>/<name>`. A name that Windows forbids, or that differs from another only by case or normal form, is changed. `account.json`, the last entry, has the user and each file in the zip: its own name, id, size, content type, SHA-256, times, and its `path` in the zip. Files may be changed meanwhile: each is in it once, in one of the versions that stood. Where the connection breaks, ask for it again: there is no taking up where it ended.',
        tags: ['account'],
        response: { 200: Export },
      },
    },
    async (request, reply) => {
      const user = await app.vault.account.describe(request.session.userId)
      const { begunAt, files } = app.vault.exports.begin(user.id, callerOf(request))
      reply.headers({
        'content-type': 'application/zip',
        'content-disposition': `attachment; filename="minikeepsafe-${timestamp(begunAt).slice(0, 10)}.zip"`,
      })
      // How long it would be is known only once it was sent.
      if (request.method === 'HEAD') return reply.send(Readable.from([]))
      return sendBytes(reply, readerOf(zipOf(entriesOf(user, begunAt, files))), null)
    },
  )
}

/** What was written of each file comes behind them all: their rows may have changed by then. */
async function* entriesOf(
  user: Account,
  begunAt: number,
  files: AsyncIterable<ExportedFile>,
): AsyncGenerator<ZipEntry> {
  const { usage: _usage, quota: _quota, ...person } = presentAccount(user)
  const account = keptBytes()
  const add = (text: string) => account.add(Buffer.from(text))
  add(`{"exportedAt":${JSON.stringify(timestamp(begunAt))},"user":${JSON.stringify(person)},"files":[`)
  const nameInFiles = entryNames()
  let separator = '\n'
  for await (const { file, bytes } of files) {
    const path =
      file.deletedAt === null ? `files/${nameInFiles(file.name)}` : `trash/${file.id}/${portableName(file.name)}`
    yield { path, modifiedAt: file.updatedAt, sizeBytes: file.sizeBytes, batches: batchesOf(bytes) }
    add(separator + JSON.stringify(presentExported(file, path)))
    separator = ',\n'
  }
  add('\n]}\n')
  yield { path: 'account.json', modifiedAt: begunAt, sizeBytes: account.sizeBytes(), batches: account.batches() }
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
