/**
 * Finds what would break a client of an older OpenAPI document.
 *
 * The server may accept more than before, and may promise more. So these are refused:
 *
 * - a path, an operation or its `operationId` that is gone. Names of schemas may change: they are in no request;
 * - a parameter, a media type or a field of a request that is gone, or that is required now;
 * - a narrower value in a request: fewer types or enum values, a stricter bound, another pattern or format;
 * - a success status, a media type, a header or a field of a response that is gone, and a field that may be missing now;
 * - a wider value in a response: more types, a looser bound, another pattern or format, and more enum values, unless the
 *   description says that values "may be added";
 * - an operation that needs a session now.
 */

type Json = { [key: string]: unknown }

/** `request`: sent by clients. `response`: read by them. */
type Side = 'request' | 'response'

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options']
const LOWER_BOUNDS = ['minimum', 'minLength', 'minItems', 'exclusiveMinimum']
const UPPER_BOUNDS = ['maximum', 'maxLength', 'maxItems', 'exclusiveMaximum']

/** One line for each change that breaks a client of the document `before`. */
export function breakingChanges(before: Json, after: Json): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const report = (where: string, what: string) => void found.push(`${where}: ${what}`)

  for (const [path, item] of entries(before.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const where = `${method.toUpperCase()} ${path}`
      const next = part(after, 'paths', path)[method] as Json | undefined
      if (next) compareOperations(where, item[method] as Json, next)
      else report(where, 'is gone')
    }
  }
  return found

  function compareOperations(where: string, old: Json, now: Json) {
    if (old.operationId !== now.operationId) report(where, `operationId ${old.operationId} is ${now.operationId} now`)
    if (isPublic(before, old) && !isPublic(after, now)) report(where, 'needs a session now')
    compareParameters(where, old, now)
    compareBodies(where, old.requestBody as Json | undefined, now.requestBody as Json | undefined)
    for (const [status, response] of entries(old.responses)) {
      if (!/^[23]/.test(status)) continue
      const next = part(now, 'responses')[status] as Json | undefined
      if (!next) report(`${where} ${status}`, 'is gone')
      else compareResponses(`${where} ${status}`, response, next)
    }
  }

  function compareParameters(where: string, old: Json, now: Json) {
    const [olds, nows] = [parametersOf(old, before), parametersOf(now, after)]
    for (const [key, parameter] of olds) {
      const next = nows.get(key)
      if (!next) {
        report(where, `${key} is gone`)
        continue
      }
      if (next.required && !parameter.required) report(where, `${key} is required now`)
      compareSchemas(`${where} ${key}`, parameter.schema, next.schema, 'request')
    }
    for (const [key, parameter] of nows) {
      if (parameter.required && !olds.has(key)) report(where, `${key} is new and required`)
    }
  }

  function compareBodies(where: string, old: Json | undefined, now: Json | undefined) {
    if (now?.required && !old?.required) report(where, 'needs a body now')
    compareContents(`${where} body`, old?.content, now?.content, 'request')
  }

  function compareResponses(where: string, old: Json, now: Json) {
    for (const name of Object.keys(part(old, 'headers'))) {
      if (!part(now, 'headers')[name]) report(where, `header ${name} is gone`)
    }
    compareContents(where, old.content, now.content, 'response')
  }

  function compareContents(where: string, old: unknown, now: unknown, side: Side) {
    for (const [type, { schema }] of entries(old)) {
      const next = (now as Json | undefined)?.[type] as Json | undefined
      if (!next) report(where, `${type} is gone`)
      else compareSchemas(where, schema, next.schema, side)
    }
  }

  function compareSchemas(where: string, given: unknown, other: unknown, side: Side) {
    const [old, now] = [resolved(given, before), resolved(other, after)]
    const refs = [given, other].map((schema) => (schema as Json | undefined)?.$ref)
    if (refs[0]) {
      // A schema that many operations share is reported once for each side.
      const key = `${side} ${refs[0]} ${refs[1]}`
      if (seen.has(key)) return
      seen.add(key)
      where = `${side} ${String(refs[0]).split('/').at(-1)}`
    }
    compareValues(where, old, now, side)
    compareFields(where, old, now, side)
    if (old.items && now.items) compareSchemas(`${where}[]`, old.items, now.items, side)
    for (const union of ['anyOf', 'oneOf', 'allOf']) {
      const [olds, nows] = [list(old[union]), list(now[union])]
      if (olds.length !== nows.length) report(where, `${union} has ${nows.length} members instead of ${olds.length}`)
      else for (const [i, member] of olds.entries()) compareSchemas(`${where} ${union} ${i}`, member, nows[i], side)
    }
  }

  function compareValues(where: string, old: Json, now: Json, side: Side) {
    const isRequest = side === 'request'
    const narrower = isRequest ? 'is refused now' : 'may come now'
    for (const type of isRequest ? without(typesOf(old), typesOf(now)) : without(typesOf(now), typesOf(old))) {
      report(where, `the type ${type} ${narrower}`)
    }
    const isOpen = !isRequest && /may be added/.test(String(old.description ?? ''))
    const [olds, nows] = [valuesOf(old), valuesOf(now)]
    if (!olds !== !nows && (isRequest ? nows : olds))
      report(where, isRequest ? 'is an enum now' : 'is no enum any more')
    else if (olds && nows && !isOpen) {
      for (const value of isRequest ? without(olds, nows) : without(nows, olds)) report(where, `${value} ${narrower}`)
    }
    for (const keyword of ['pattern', 'format']) {
      const isLooser = isRequest ? now[keyword] === undefined : old[keyword] === undefined
      if (old[keyword] !== now[keyword] && !isLooser) report(where, `another ${keyword}`)
    }
    for (const [bounds, sign] of [
      [LOWER_BOUNDS, 1],
      [UPPER_BOUNDS, -1],
    ] as const) {
      for (const bound of bounds) {
        const limit = (schema: Json) =>
          schema[bound] === undefined ? Number.NEGATIVE_INFINITY : sign * Number(schema[bound])
        const isStricter = limit(now) > limit(old)
        if (limit(now) !== limit(old) && isStricter === isRequest) report(where, `another ${bound}`)
      }
    }
  }

  function compareFields(where: string, old: Json, now: Json, side: Side) {
    const [olds, nows] = [part(old, 'properties'), part(now, 'properties')]
    const [needed, neededNow] = [list(old.required), list(now.required)]
    for (const [name, schema] of Object.entries(olds)) {
      if (nows[name]) compareSchemas(`${where}.${name}`, schema, nows[name], side)
      else report(where, `${name} is gone`)
    }
    for (const name of side === 'request' ? without(neededNow, needed) : without(needed, neededNow)) {
      if (side === 'request') report(where, `${name} is required now`)
      else if (nows[name as string]) report(where, `${name} may be missing now`)
    }
  }
}

function isPublic(document: Json, { security = document.security }: Json): boolean {
  return list(security).length === 0
}

function parametersOf(operation: Json, document: Json): Map<string, Json> {
  const parameters = list(operation.parameters).map((parameter) => resolved(parameter, document))
  return new Map(parameters.map((parameter) => [`${parameter.in} ${String(parameter.name).toLowerCase()}`, parameter]))
}

function resolved(schema: unknown, document: Json): Json {
  const { $ref } = (schema ?? {}) as { $ref?: string }
  if ($ref === undefined) return (schema ?? {}) as Json
  return resolved(part(document, ...$ref.replace(/^#\//, '').split('/')), document)
}

function part(from: Json, ...keys: string[]): Json {
  return keys.reduce<Json>((value, key) => (value[key] ?? {}) as Json, from)
}

const entries = (value: unknown) => Object.entries((value ?? {}) as Record<string, Json>)
const list = (value: unknown) => (value ?? []) as unknown[]
const typesOf = ({ type }: Json) => (Array.isArray(type) ? type : type === undefined ? [] : [type])
const valuesOf = ({ enum: values, const: value }: Json) =>
  values ? list(values) : value === undefined ? undefined : [value]
const without = (values: unknown[], others: unknown[]) => values.filter((value) => !others.includes(value))
