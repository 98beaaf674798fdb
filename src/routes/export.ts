/** Exports all files of a user, or some, as one zip file. */
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf, sessionOf } from '../http/caller.ts'
import type { ClaimMemory } from '../http/memory.ts'
import { presentAccount, presentExported } from '../http/presenting.ts'
import { sendBytes } from '../http/sending.ts'
import { type EntryNames, entryNames, portableName } from '../http/zip/entry-names.ts'
import { keptBytes } from '../http/zip/kept-bytes.ts'
import { type ZipEntry, zipOf } from '../http/zip/zip.ts'
import { Export, ExportQuery, MOST_CHOSEN } from '../schemas/account.ts'
import { failures, timestamp } from '../schemas/common.ts'
import type { Account } from '../vault/accounts/account.ts'
import type { ContentReader } from '../vault/crypto/content.ts'
import type { ExportedFile } from '../vault/files/export.ts'
import type { StoredFile } from '../vault/files/stored-file.ts'

/** The memory of an export: the bytes being sent, and what is kept of each file until the end. Long names need more. */
const EXPORT_BYTES = 4 * 1024 * 1024
const EXPORT_BYTES_PER_FILE = 300
/** More memory is claimed in such steps. */
const MORE_BYTES = 1024 * 1024
/** For each file: the digests of its name and of its id. */
const NAME_BYTES = 160
/** The row of a file that was chosen. */
const CHOSEN_BYTES = 2048

export const exports: FastifyPluginAsyncTypebox<{ claim: ClaimMemory }> = async (app, { claim }) => {
  app.get(
    '/v1/me/export',
    {
      config: {
        limits: ['exports-at-once', 'exports'],
        memoryBytes: async (request) => {
          if ((request.query as { ids?: unknown }).ids !== undefined) return EXPORT_BYTES + MOST_CHOSEN * CHOSEN_BYTES
          const { usage } = await app.vault.account.describe(sessionOf(request).userId)
          return EXPORT_BYTES + EXPORT_BYTES_PER_FILE * (usage.files + usage.trashFiles)
        },
      },
      schema: {
        operationId: 'exportMe',
        summary: 'Export everything as one zip file',
        description:
          'Files are under `files/<name>`, files of the trash under `trash/<id>/<name>`. A name that Windows forbids, or that differs from another only by case or normal form, is changed. `account.json`, the last entry, has the user and each file in the zip: its own name, id, size, content type, SHA-256, times, and its `path` in the zip. If a file is changed during the export, the zip has one of its versions, and has it once. An export that breaks off cannot be resumed: request it again. With `ids` the zip has only these files, in this order, under their names, and no `account.json`.',
        tags: ['account'],
        querystring: ExportQuery,
        response: { 200: Export, ...failures('invalid-request', 'file-not-found') },
      },
    },
    async (request, reply) => {
      const { ids } = request.query
      if (ids !== undefined) return sendChosen(request, reply, [...new Set(ids.split(','))])
      const user = await app.vault.account.describe(sessionOf(request).userId)
      const names = entryNames()
      const { begunAt, files } = app.vault.exports.begin(user.id, callerOf(request), names.keeps)
      const claimed = EXPORT_BYTES_PER_FILE * (user.usage.files + user.usage.trashFiles)
      const memory = keptMemory(claimed, () => claim(request, reply, MORE_BYTES, true))
      const zip = zipOf(entriesOf(user, begunAt, files, names, memory), memory.keep)
      return sendZip(request, reply, timestamp(begunAt).slice(0, 10), zip)
    },
  )

  async function sendChosen(request: FastifyRequest, reply: FastifyReply, ids: string[]): Promise<FastifyReply> {
    const { begunAt, chosen, files } = await app.vault.exports.choose(sessionOf(request).userId, ids)
    const name = `${timestamp(begunAt).slice(0, 10)}-${ids.length}-${ids.length === 1 ? 'file' : 'files'}`
    return sendZip(request, reply, name, zipOf(chosenEntries(pathsOf(chosen), files)))
  }
}

function sendZip(
  { method }: FastifyRequest,
  reply: FastifyReply,
  name: string,
  zip: AsyncGenerator<Buffer[]>,
): Promise<FastifyReply> | FastifyReply {
  reply.headers({
    'content-type': 'application/zip',
    'content-disposition': `attachment; filename="minikeepsafe-${name}.zip"`,
  })
  // The length of the zip is known only after it was sent, so HEAD has none.
  if (method === 'HEAD') return reply.send(Readable.from([]))
  return sendBytes(reply, readerOf(zip), null)
}

/** The path of each file by its id. It depends on the names alone, and a file that needs no change keeps its name. */
function pathsOf(files: Pick<StoredFile, 'id' | 'name'>[]): Map<string, string> {
  const names = entryNames()
  const inOrder = files.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1))
  const paths = new Map<string, string>()
  for (const { id, name } of inOrder) if (names.keeps(name)) paths.set(id, names.nameFor(name))
  for (const { id, name } of inOrder) if (!paths.has(id)) paths.set(id, names.nameFor(name))
  return paths
}

async function* chosenEntries(
  paths: Map<string, string>,
  files: AsyncIterable<ExportedFile>,
): AsyncGenerator<ZipEntry> {
  for await (const exported of files) yield entryOf(exported, paths.get(exported.file.id) as string)
}

function entryOf({ file, bytes }: ExportedFile, path: string): ZipEntry {
  const { sizeBytes, takenAt, takenOffset: zoneMinutes } = file
  return { path, modifiedAt: takenAt ?? file.updatedAt, zoneMinutes, sizeBytes, batches: batchesOf(bytes) }
}

/** `account.json` comes last and describes each file as it was written, because rows may change during the export. */
async function* entriesOf(
  user: Account,
  begunAt: number,
  files: AsyncIterable<ExportedFile>,
  names: EntryNames,
  memory: KeptMemory,
): AsyncGenerator<ZipEntry> {
  const { usage: _usage, quota: _quota, ...person } = presentAccount(user)
  const account = keptBytes(memory.keep)
  const add = (text: string) => account.add(Buffer.from(text))
  add(`{"exportedAt":${JSON.stringify(timestamp(begunAt))},"user":${JSON.stringify(person)},"files":[`)
  let separator = '\n'
  for await (const exported of files) {
    const { file } = exported
    const path =
      file.deletedAt === null ? `files/${names.nameFor(file.name)}` : `trash/${file.id}/${portableName(file.name)}`
    yield entryOf(exported, path)
    memory.keep(NAME_BYTES)
    await memory.claimMore()
    add(separator + JSON.stringify(presentExported(file, path)))
    separator = ',\n'
  }
  add('\n]}\n')
  const sizeBytes = account.sizeBytes()
  yield { path: 'account.json', modifiedAt: begunAt, zoneMinutes: 0, sizeBytes, batches: account.batches() }
}

interface KeptMemory {
  /** Counts more bytes that are kept until the end of the response. */
  keep(bytes: number): void
  /** Resolves once as many bytes are claimed as are kept. */
  claimMore(): Promise<void>
}

function keptMemory(claimedBytes: number, claim: () => Promise<void>): KeptMemory {
  let keptBytes = 0
  let allowedBytes = claimedBytes
  return {
    keep(bytes) {
      keptBytes += bytes
    },

    async claimMore() {
      while (keptBytes > allowedBytes) {
        await claim()
        allowedBytes += MORE_BYTES
      }
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
