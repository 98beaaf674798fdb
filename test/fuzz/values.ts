/** Values that fit a schema: remembered ones, so that requests go deep, or new ones. */
import { dateFault } from '../../src/http/taken.ts'
import { deviceNameFault } from '../../src/vault/sign-in/device-name.ts'
import { mailAddressFault } from '../../src/vault/sign-in/mail-address.ts'
import type { Dice } from './chance.ts'
import type { Document, Schema } from './document.ts'
import type { Memory } from './memory.ts'

/** What members are called in answers where a request calls them otherwise. */
const TOLD_AS: Record<string, string> = { cursor: 'nextCursor', prefix: 'name', ids: 'id' }

const NAMES = [
  'beach.jpg',
  'beach (1).jpg',
  'Ferien in Köln.png',
  '海.heic',
  'a',
  '.hidden',
  'x%y+z &=#?;.txt',
  '😀.bin',
]

export type Values = ReturnType<typeof values>

export function values(document: Document, dice: Dice, memory: Memory) {
  /** A value for the member called `name`. */
  function valueFor(given: Schema, name: string): unknown {
    const schema = document.resolve(given)
    if (schema.const !== undefined) return schema.const
    if (schema.enum) return dice.pick(schema.enum)
    if (schema.anyOf) return valueFor(dice.pick(schema.anyOf), name)
    switch (schema.type) {
      case 'object':
        return objectOf(schema)
      case 'array':
        return Array.from({ length: dice.below(3) }, () => valueFor(schema.items ?? {}, name))
      case 'integer':
      case 'number':
        return numberOf(schema, name)
      case 'boolean':
        return dice.oneIn(2)
      case 'null':
        return null
      default:
        return remembered(schema, name) ?? newText(schema, name)
    }
  }

  function numberOf({ minimum = 0, maximum = minimum + 1000 }: Schema, name: string): number {
    // Seconds until the answer. A longer wait would count as no answer.
    if (name === 'wait') return dice.pick([minimum, 0.05])
    return dice.pick([minimum, maximum, minimum + 1, minimum + dice.below(maximum - minimum + 1)])
  }

  /** Members that were told together stay together, such as a PIN with its device. */
  function objectOf({ properties = {}, required = [], minProperties = 0 }: Schema): Record<string, unknown> {
    const told = dice.oneIn(4) ? undefined : memory.records(required).at(-1 - dice.below(3))
    const all = Object.entries(properties)
    const some = all.filter(([name]) => required.includes(name) || dice.oneIn(3))
    const members = some.length < minProperties ? [dice.pick(all)] : some
    return Object.fromEntries(
      members.map(([name, schema]) => {
        const value = told?.[name]
        const isText = typeof value === 'string' && document.resolve(schema).type !== 'array'
        return [name, isText && fits(schema, value) ? value : valueFor(schema, name)]
      }),
    )
  }

  function remembered(schema: Schema, name: string): string | null {
    const member = TOLD_AS[name] ?? name
    const told = memory
      .records([member])
      .slice(-12)
      .map((record) => String(record[member]))
    const fitting = told.filter((text) => fits(schema, text))
    return fitting.length > 0 && !dice.oneIn(3) ? dice.pick(fitting) : null
  }

  /** One of some likely texts that fits: no need to read a pattern backwards. */
  function newText(schema: Schema, name: string): string {
    const word = dice.word(16)
    const likely = [
      ...(name === 'name' ? [dice.pick(NAMES), `${dice.pick(['img', 'film'])}-${dice.below(8)}.jpg`] : []),
      `device-${word}`,
      `${word}@example.org`,
      String(dice.below(10_000)).padStart(4, '0'),
      ...(schema.examples ?? []).map(String),
    ].filter((text) => fits(schema, text))
    if (likely.length === 0) throw new Error(`no idea what fits ${JSON.stringify(schema)}`)
    return name === 'name' ? dice.pick(likely.slice(0, 2)) : (likely[0] as string)
  }

  return { valueFor }
}

function fits({ pattern, format }: Schema, text: string): boolean {
  if (format === 'idn-email') return mailAddressFault(text) === null
  if (format === 'date-time') return dateFault(text) === null
  if (format === 'device-name') return deviceNameFault(text) === null
  return pattern === undefined || new RegExp(pattern).test(text)
}
