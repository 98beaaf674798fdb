/** Finds files by their SHA-256, so that a client need not send what is there already. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { callerOf, sessionOf } from '../http/caller.ts'
import { FILES_PER_REQUEST } from '../http/cursors.ts'
import { presentFound } from '../http/presenting.ts'
import { sendBytes } from '../http/sending.ts'
import { problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { LookupRequest, LookupResult, MOST_DIGESTS, MOST_VERIFIED } from '../schemas/lookup.ts'
import type { ContentReader } from '../vault/crypto/content.ts'
import type { Found } from '../vault/files/lookup.ts'
import { whileAlive } from './uploads/interim.ts'

/** Room for 1,000 digests with indents. A body of numbers is parsed to several times as much memory, so the limit is not higher. */
const BODY_BYTES = 80 * 1024
/** A digest in JSON with its quotes and a comma. */
const DIGEST_BYTES = 67
/** Entries of a response in one piece. A longer one is streamed, because a user may have a million files of one content. */
const MOST_WHOLE = 2000
/** The maximum of memory: the body, rows, and entries as records and as JSON; with `verify` the bytes of one file being read. */
const LOOKUP_BYTES = 4 * 1024 * 1024

/** As much as pages of so many files. The body is not read yet. */
function lookupCost(_query: unknown, headers: FastifyRequest['headers']): number {
  const bytes = Number(headers['content-length'] ?? BODY_BYTES)
  const digests = Math.min(MOST_DIGESTS, Math.ceil(bytes / DIGEST_BYTES))
  return Math.max(1, Math.ceil(digests / FILES_PER_REQUEST)) || 1
}

export const lookup: FastifyPluginAsyncTypebox<{ interim: boolean }> = async (app, { interim }) => {
  app.post(
    '/v1/files/lookup',
    {
      bodyLimit: BODY_BYTES,
      config: { bodyBytes: BODY_BYTES, changesNothing: true, memoryBytes: () => LOOKUP_BYTES, cost: lookupCost },
      schema: {
        operationId: 'lookUpFiles',
        summary: 'Find files by their SHA-256',
        description:
          'Has one entry for every file and every entry of the trash with one of the digests, in the order of the digests. What is found need not be sent. A client that deletes its own copy should look it up with `verify` before. With large files this takes long: the server sends interim responses (102) meanwhile, and two such requests of a user may run at the same time. If the connection breaks in the middle of the response, repeat the request with fewer digests.',
        tags: ['files'],
        body: LookupRequest,
        response: { 200: LookupResult, ...failures('invalid-request') },
      },
    },
    async (request, reply) => {
      const { sha256, verify = false } = request.body
      if (verify && sha256.length > MOST_VERIFIED) {
        throw problems.invalidRequest([
          { path: '/sha256', message: `must have at most ${MOST_VERIFIED} items with verify` },
        ])
      }
      const isWanted = () => reply.raw.socket?.destroyed === false
      const pieces = app.vault.lookup.find(sessionOf(request).userId, sha256, callerOf(request), { isWanted, verify })
      const first: Found[] = []
      const isWhole = await whileAlive(reply, interim, async () => {
        while (first.length < MOST_WHOLE) {
          const piece = await pieces.next()
          if (piece.done) return true
          first.push(...piece.value)
        }
        return false
      })
      if (isWhole) return { found: first.map(presentFound) }
      reply.type('application/json; charset=utf-8')
      return sendBytes(reply, streamed(first, pieces), null)
    },
  )
}

/** The same JSON in pieces. */
function streamed(first: Found[], rest: AsyncGenerator<Found[]>): ContentReader {
  const text = (entries: Found[]) => entries.map((entry) => JSON.stringify(presentFound(entry))).join(',')
  let ended = false
  let head: string | null = `{"found":[${text(first)}`
  return {
    async next() {
      if (ended) return null
      if (head !== null) {
        const bytes = [Buffer.from(head)]
        head = null
        return bytes
      }
      for (;;) {
        const piece = await rest.next()
        ended = piece.done === true
        if (piece.done) return [Buffer.from(']}')]
        if (piece.value.length > 0) return [Buffer.from(`,${text(piece.value)}`)]
      }
    },
    close: async () => void (await rest.return(undefined)),
  }
}
