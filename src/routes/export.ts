/** Everything of a user in one zip file. */
import { Readable } from 'node:stream'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Export } from '../schemas/account.ts'
import { failures, timestamp } from '../schemas/common.ts'
import type { Account } from '../vault/account.ts'
import type { ContentReader } from '../vault/content.ts'
import type { ExportedFile } from '../vault/export.ts'
import { numberedName } from '../vault/names.ts'
import { callerOf } from './caller.ts'
import { presentAccount, presentExported } from './presenting.ts'
import { sendBytes } from './sending.ts'
import { type ZipEntry, zipOf } from './zip.ts'

/** What an export may hold of the memory: the bytes under way, and for each file what is said of it at the end. */
const EXPORT_BYTES = 4 * 1024 * 1024
const EXPORT_BYTES_PER_FILE = 300

/** Text that is kept in one piece, deflated. */
const BLOCK_CHARACTERS = 64 * 1024

export const exports: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/me/export',
    {
      config: {
        limits: ['exports-at-once', 'exports'],
        holds: async ({ session }) => {
          const { usage } = await app.vault.account.describe(session.userId)
          return EXPORT_BYTES + EXPORT_BYTES_PER_FILE * usage.files
        },
      },
      schema: {
        operationId: 'exportMe',
        summary: 'Take everything out, as one zip file',
        description:
          'Files stand under `files/<name>`, those of the trash under `trash/<id>/<name>`, and `account.json`, the last of all, tells of the user and of each file in the zip: its name, id, size, content type, SHA-256, times, and where it is. Files may be changed meanwhile: each is in it once, in one of the versions that stood. Where the connection breaks, ask for it again: there is no taking up where it ended.',
        tags: ['account'],
        response: { 200: Export, ...failures({ 401: 'unauthorized', 503: 'not-ready' }) },
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
  const account = keptText()
  account.add(`{"exportedAt":${JSON.stringify(timestamp(begunAt))},"user":${JSON.stringify(person)},"files":[`)
  const names = new Set<string>()
  let separator = '\n'
  for await (const { file, bytes } of files) {
    const path = file.deletedAt === null ? `files/${unusedName(file.name, names)}` : `trash/${file.id}/${file.name}`
    yield { path, modifiedAt: file.updatedAt, sizeBytes: file.sizeBytes, batches: batchesOf(bytes) }
    account.add(separator + JSON.stringify(presentExported(file, path)))
    separator = ',\n'
  }
  account.add('\n]}\n')
  yield { path: 'account.json', modifiedAt: begunAt, sizeBytes: account.sizeBytes(), batches: account.batches() }
}

/** A file may have got the name that another had when that one was written. */
function unusedName(name: string, used: Set<string>): string {
  let unused = name
  for (let n = 1; used.has(unused); n += 1) unused = numberedName(name, n)
  used.add(unused)
  return unused
}

/** Text that grows with the number of files. Deflated, it takes a third of the memory or less. */
function keptText() {
  const blocks: Buffer[] = []
  let text = ''
  let sizeBytes = 0
  return {
    add(more: string) {
      text += more
      sizeBytes += Buffer.byteLength(more)
      if (text.length < BLOCK_CHARACTERS) return
      blocks.push(deflateRawSync(text))
      text = ''
    },
    sizeBytes: () => sizeBytes,
    *batches(): Generator<Buffer[]> {
      for (const block of blocks) yield [inflateRawSync(block)]
      yield [Buffer.from(text)]
    },
  }
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
