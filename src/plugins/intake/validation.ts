/**
 * Validates requests with TypeBox. Numbers in a path, query or header are converted from text first; a body is not converted.
 * All errors are listed. A checker is compiled when the first request needs it, so the server starts sooner.
 */
import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import type { ValueError } from '@sinclair/typebox/errors'
import { ValueErrorType } from '@sinclair/typebox/errors'
import fastifyPlugin from 'fastify-plugin'
import { dateFault } from '../../http/taken.ts'
import { type Fault, problems } from '../../problems.ts'
import { deviceNameFault } from '../../vault/sign-in/device-name.ts'
import { mailAddressFault } from '../../vault/sign-in/mail-address.ts'

/** Returns the error of a string for a format, or `null`. */
const FORMATS: Record<string, (text: string) => string | null> = {
  'date-time': dateFault,
  'idn-email': mailAddressFault,
  'device-name': deviceNameFault,
}

export const validation = fastifyPlugin(async function validation(app) {
  for (const [format, faultIn] of Object.entries(FORMATS)) FormatRegistry.Set(format, (text) => faultIn(text) === null)
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    if (schema['x-streamed']) return (value) => ({ value })
    let check: TypeCheck<TSchema> | undefined
    const numbers = httpPart === 'body' ? [] : numbersOf(schema)
    return (given) => {
      const value = numbers.length === 0 ? given : withNumbers(given, numbers)
      check ??= TypeCompiler.Compile(schema)
      if (check.Check(value)) return { value }
      return { error: problems.invalidRequest(faultsOf(check.Errors(value))) }
    }
  })
})

function numbersOf(schema: TSchema): string[] {
  const properties = Object.entries<TSchema>(schema.properties)
  return properties.filter(([, { type }]) => type === 'integer' || type === 'number').map(([name]) => name)
}

function withNumbers(given: Record<string, unknown>, names: string[]): Record<string, unknown> {
  const value = { ...given }
  for (const name of names) {
    const text = value[name]
    if (typeof text === 'string' && /^-?\d+(\.\d+)?$/.test(text)) value[name] = Number(text)
  }
  return value
}

/** A body may have very many errors. Further ones are not listed. */
const MOST_FAULTS = 100

/** The first error that TypeBox finds at each path. */
function faultsOf(errors: Iterable<ValueError>): Fault[] {
  const faults = new Map<string, Fault>()
  for (const { path, type, message, schema, value } of errors) {
    if (faults.has(path)) continue
    const own = type === ValueErrorType.StringFormat ? FORMATS[schema.format]?.(String(value)) : null
    faults.set(path, { path, message: own ?? messageOf(type, message, schema) })
    if (faults.size === MOST_FAULTS) break
  }
  return [...faults.values()]
}

function messageOf(type: ValueErrorType, message: string, schema: TSchema): string {
  if (type === ValueErrorType.ArrayMaxItems) return `must have at most ${schema.maxItems} items`
  if (type === ValueErrorType.ObjectRequiredProperty) return 'is required'
  if (type === ValueErrorType.StringPattern && schema['x-message']) return schema['x-message']
  if (type === ValueErrorType.Union) {
    return `must be one of ${schema.anyOf.map((choice: TSchema) => choice.const).join(', ')}`
  }
  return message
    .replace(/^Expected (?:integer|number) to be greater or equal to /, 'must be at least ')
    .replace(/^Expected (?:integer|number) to be less or equal to /, 'must be at most ')
    .replace(/^Expected/, 'must be')
}
