/**
 * The versions of draft-ietf-httpbis-resumable-upload that clients speak, by their interop version: 3 is draft -01, 5 is -03,
 * 6 is -04 and -05, 8 is -09 to -11, 9 is -12, 10 is -13 and later. All their differences are here.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { problems } from '../../problems.ts'

export interface Interop {
  version: number
  /** Whether the server may send a 104: only to a client that names a version that we know. */
  isNamed: boolean
  /** The field that says whether the upload is complete, and the value for "complete". */
  complete: { field: 'upload-complete' | 'upload-incomplete'; yes: '?1' | '?0'; no: '?1' | '?0' }
  /** Whether an append without that field completes the upload. */
  absentMeansComplete: boolean
  /** The media type of an append; `null` if the version knows none. */
  mediaType: 'application/partial-upload' | null
  /** The member of `Upload-Limit` for the seconds until the upload expires. */
  ageMember: 'expires' | 'max-age'
  /** The status of an append that does not complete the upload. */
  appended: 201 | 204
}

const COMPLETE = { field: 'upload-complete', yes: '?1', no: '?0' } as const
const INCOMPLETE = { field: 'upload-incomplete', yes: '?0', no: '?1' } as const
const COMPLETE_FIELDS = [COMPLETE, INCOMPLETE]
const LATEST: Omit<Interop, 'version'> = {
  isNamed: true,
  complete: COMPLETE,
  absentMeansComplete: false,
  mediaType: 'application/partial-upload',
  ageMember: 'max-age',
  appended: 204,
}
/** Up to draft -05, an append that is not the last gets 201, and only such an append needs the field. */
const EARLY = { ...LATEST, absentMeansComplete: true, appended: 201 } as const

const VERSIONS: Interop[] = [
  { ...EARLY, version: 3, complete: INCOMPLETE, mediaType: null },
  { ...EARLY, version: 5, mediaType: null },
  { ...EARLY, version: 6, ageMember: 'expires' },
  { ...LATEST, version: 8 },
  { ...LATEST, version: 9 },
  { ...LATEST, version: 10 },
]

/** The version that a request names. Without one, or with one that we do not know, the latest, and no 104. */
export function interopOf(headers: IncomingHttpHeaders): Interop {
  const named = VERSIONS.find(({ version }) => String(version) === headers['upload-draft-interop-version'])
  if (named) return named
  const spoken = headers['upload-incomplete'] === undefined ? 10 : 3
  return { ...(VERSIONS.find(({ version }) => version === spoken) as Interop), isNamed: false }
}

/** Whether a request speaks the protocol: it names a version, or says whether it is complete. */
export function isResumable(headers: IncomingHttpHeaders): boolean {
  return ['upload-complete', 'upload-incomplete', 'upload-draft-interop-version'].some(
    (field) => headers[field] !== undefined,
  )
}

/**
 * Whether the request completes the upload. If one field says no, it does not, even if the field is of another version than
 * the request names: the first bytes must never be stored as the whole. Without a field, `absent` is the answer; `null` refuses.
 */
export function isComplete(headers: IncomingHttpHeaders, { complete }: Interop, absent: boolean | null): boolean {
  const said = COMPLETE_FIELDS.flatMap(({ field, yes }) => {
    const value = headers[field]
    if (value === undefined) return []
    // An item may have parameters, which are ignored (RFC 9651, section 2).
    const [, item] = /^\s*(\?[01])\s*(?:;.*)?$/.exec(String(value)) ?? []
    if (item === undefined) throw problems.invalidRequest([{ path: `/${field}`, message: MUST }])
    return [item === yes]
  })
  if (said.length > 0) return said.every(Boolean)
  if (absent !== null) return absent
  throw problems.invalidRequest([{ path: `/${complete.field}`, message: MUST }])
}

const MUST = 'must be ?0 or ?1 (RFC 9651, section 3.3.6)'
