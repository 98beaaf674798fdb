/** The fields of a creation that later requests need. They are stored with the upload. */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { guardOf } from '../../http/conditions.ts'
import { FORM_OVERHEAD_BYTES, readForm } from '../../http/forms/read-form.ts'
import type { Upload } from '../../ports/uploads.ts'
import type { Finish, Form } from '../../vault/uploads/uploads.ts'

const CONDITIONS = ['if-match', 'if-none-match', 'if-unmodified-since'] as const

export interface Terms extends Pick<IncomingHttpHeaders, (typeof CONDITIONS)[number]> {
  /** The digest of the whole, in hex; `null` if the client sent none. */
  sha256: string | null
  replaced: Finish['replaced']
  taken: Finish['taken']
  /** The Content-Type of a form. Its bytes are read as a form once all of them are there. */
  form?: string
  /** tus: Upload-Metadata and Upload-Concat, for the response to HEAD. */
  metadata?: string | undefined
  concat?: string | undefined
}

/** The given terms, with the conditions of the request. */
export function termsOf(headers: IncomingHttpHeaders, given: Partial<Terms>): Terms {
  const terms: Terms = { sha256: null, replaced: 'trash', taken: null, ...given }
  for (const field of CONDITIONS) if (headers[field] !== undefined) terms[field] = headers[field]
  return terms
}

/** An upload that was begun before uploads had a date has none. */
export const termsIn = ({ terms }: Upload): Terms => ({
  taken: null,
  ...(JSON.parse(terms) as Omit<Terms, 'taken'> & Partial<Terms>),
})

/** A form is read with the parser of the request that completes it. */
export function finishOf(request: FastifyRequest, terms: Terms): Finish {
  const { sha256, replaced, taken, form } = terms
  const conditions = Object.fromEntries(CONDITIONS.map((field) => [field, terms[field]]))
  return {
    sha256,
    replaced,
    taken,
    guard: guardOf(conditions),
    form: form === undefined ? null : formOf(request, form),
  }
}

function formOf(request: FastifyRequest, contentType: string): Form {
  return {
    overheadBytes: FORM_OVERHEAD_BYTES,
    read: (bytes, receive) => readForm(request, { contentType, bytes }, receive),
  }
}
