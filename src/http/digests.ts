/** Digest fields (RFC 9530): dictionaries of byte sequences by algorithm (RFC 8941). Only sha-256 is looked at. */
import type { IncomingHttpHeaders } from 'node:http'
import { parseDictionary } from 'structured-headers'
import { problems } from '../problems.ts'

/** The value of `Repr-Digest` for a SHA-256 in hex. */
export const reprDigest = (sha256: string): string => `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`

/** Reads the digests that came with an upload; answers a check of what arrived. Throws `invalid-digest`. */
export function digestCheckOf(headers: IncomingHttpHeaders): (arrived: { sha256: string }) => void {
  const expected = ['Repr-Digest', 'Content-Digest'].flatMap((field) => {
    const sha256 = sha256In(field, headers[field.toLowerCase()])
    return sha256 === null ? [] : [{ field, sha256 }]
  })
  return (arrived) => {
    for (const { field, sha256 } of expected) {
      if (sha256 !== arrived.sha256) throw problems.digestMismatch(field)
    }
  }
}

/** In hex; `null` where the field is absent or has other algorithms only. */
function sha256In(field: string, value: string | string[] | undefined): string | null {
  if (value === undefined) return null
  const item = dictionaryIn(field, [value].flat().join(', ')).get('sha-256')?.[0]
  if (item === undefined) return null
  if (!(item instanceof ArrayBuffer)) throw problems.invalidDigest(field)
  const digest = Buffer.from(item)
  if (digest.length !== 32) throw problems.invalidDigest(field)
  return digest.toString('hex')
}

function dictionaryIn(field: string, value: string) {
  try {
    return parseDictionary(value)
  } catch {
    throw problems.invalidDigest(field)
  }
}
