/** Reads a form with one file and its name. */
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import { Problem, problems } from '../../problems.ts'
import type { ReadForm } from '../../vault/files/files.ts'
import type { Receive } from '../../vault/files/receiving.ts'
import { takenInQuery } from '../taken.ts'
import { specificType } from '../upload-requests.ts'
import { type FormBytes, fieldText, formParts } from './form-parts.ts'

/** An upper bound for the bytes of a form around its file: boundaries, part headers, the name, ignored fields. */
export const FORM_OVERHEAD_BYTES = 1024 * 1024

/** The text fields of a form. Others are ignored. */
const FIELDS = ['name', 'takenAt'] as const

/** Reads the whole form. The file is streamed to `receive` before its name is known, since `name` may follow it. */
export async function readForm(request: FastifyRequest, form: FormBytes, receive: Receive): Promise<ReadForm> {
  let file: (Omit<ReadForm, 'name' | 'taken'> & { name: string | null }) | null = null
  const fields: Partial<Record<(typeof FIELDS)[number], string>> = {}
  for await (const { head, part } of partsOf(request, form)) {
    if (part.type === 'file') {
      if (head.name !== 'file') throw problems.malformedMultipart('The file part must be called "file".')
      if (file) throw problems.malformedMultipart('A form may have only one file.')
      const contentType = specificType(head.contentType, (message) =>
        problems.malformedMultipart(`The Content-Type of the part "file" ${message}.`),
      )
      const received = await receive(bytesOf(part, request))
      file = { name: head.fileName, contentType, received }
      continue
    }
    const field = FIELDS.find((known) => known === head.name)
    if (!field) continue
    if (fields[field] !== undefined) throw problems.malformedMultipart(`A form may have only one "${field}".`)
    if (part.valueTruncated && field === 'name')
      throw problems.invalidName('A file name may have at most 255 bytes of UTF-8.')
    fields[field] = fieldText(part.value, head)
  }
  if (!file) throw problems.malformedMultipart('The form has no file part called "file".')
  const given = fields.name ?? file.name
  if (given === null) {
    throw problems.malformedMultipart(
      'The file has no name: the part "file" has no filename, and there is no field "name".',
    )
  }
  return { ...file, name: given, taken: takenInQuery(fields) }
}

async function* partsOf(request: FastifyRequest, form: FormBytes) {
  try {
    yield* formParts(request, form)
  } catch (cause) {
    throw brokenForm(request, cause)
  }
}

async function* bytesOf({ file }: MultipartFile, request: FastifyRequest): AsyncGenerator<Buffer> {
  try {
    yield* file
  } catch (cause) {
    throw brokenForm(request, cause)
  }
}

function brokenForm({ raw }: FastifyRequest, cause: unknown) {
  if (cause instanceof Problem) return cause
  if (raw.destroyed && !raw.complete) return problems.incompleteBody(cause)
  return problems.malformedMultipart('The body is not a complete multipart/form-data body (RFC 7578).', cause)
}
