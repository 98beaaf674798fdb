/** Odd values in every parameter of every operation: refused, or without effect, and never a fault of the server. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Member, member, pinFrom, testApp } from '../support/app.ts'
import { describePostgres, emptySchema } from '../support/postgres.ts'

const IN_QUERIES = [
  '',
  '0',
  '-1',
  '1.5',
  '1e308',
  '-0',
  '9007199254740993',
  '99999999999999999999999',
  'NaN',
  'null',
  'true',
  '%00',
  'a%00b',
  '%ED%A0%80',
  '%FF',
  '%',
  '%F4%8F%BF%BF',
  '%EF%BF%BD',
  '[]',
  '%5B%5B%5D%5D',
  'a'.repeat(3000),
]
const IN_PATHS = [
  '%00',
  'a%00b',
  '%F4%8F%BF%BF',
  '%EF%BF%BD',
  '%ED%A0%80',
  '%FF',
  '%',
  '%2e%2e',
  '%2F',
  '%0A',
  '0',
  '-1',
  'null',
  'a'.repeat(300),
  'a'.repeat(3000),
  '%E2%82%AC'.repeat(340),
]

interface Parameter {
  name: string
  in: string
}

/** Each operation with one parameter at a time of each odd value; the others are left out, or named `x`. */
function* requests(document: { paths: Record<string, Record<string, { parameters?: Parameter[] }>> }) {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, { parameters = [] }] of Object.entries(operations)) {
      for (const { name, in: where } of parameters) {
        if (where === 'query')
          for (const value of IN_QUERIES) yield [method, `${filled(path)}?${name}=${value}`] as const
        if (where !== 'path') continue
        for (const value of IN_PATHS) yield [method, filled(path.replace(`{${name}}`, value))] as const
      }
    }
  }
}

const filled = (path: string) => path.replaceAll(/\{\w+\}/g, 'x')

const bodyOf = (method: string) =>
  ['post', 'put', 'patch'].includes(method)
    ? { headers: { 'content-type': 'application/json' }, body: '{"name":"\\ud800"}' }
    : {}

async function found(who: Member, requests: Iterable<readonly [method: string, path: string]>) {
  const statuses = new Map<string, number>()
  const all = requests[Symbol.iterator]() as IterableIterator<readonly [string, string]>
  const lanes = Array.from({ length: 8 }, async () => {
    for (const [method, path] of all) {
      const { status } = await who.request(path, { method: method.toUpperCase(), ...bodyOf(method) })
      statuses.set(`${method} ${path.slice(0, 80)}`, status)
    }
  })
  await Promise.all(lanes)
  return statuses
}

function oddValues(engine: string, settings: () => Promise<Record<string, string>>) {
  it(`on ${engine}, in every parameter of every operation, are no fault of the server`, async () => {
    const app = await testApp(await settings())
    const ada = await member(app)
    const { body } = await app.request('/docs/json')
    const statuses = await found(ada, requests(body as Parameters<typeof requests>[0]))
    expect(statuses.size).toBeGreaterThan(200)
    expect([...statuses].filter(([, status]) => status >= 500)).toEqual([])
    expect((await ada.request('/v1/me')).status).toBe(200)
  })

  it(`on ${engine}, in cursors, are a 400`, async () => {
    const app = await testApp(await settings())
    const ada = await member(app)
    for (const name of ['a', 'b', 'c', 'd']) await ada.put(name, name)
    for (const name of ['c', 'd']) await ada.request(`/v1/files/${name}`, { method: 'DELETE' })
    for (const device of ['device-1', 'device-2']) await pinFrom(ada, device)
    await app.settled()
    for (const [path, isText] of [
      ['/v1/files?', true],
      ['/v1/files?sort=size&', false],
      ['/v1/files?sort=createdAt&order=desc&', false],
      ['/v1/files?sort=updatedAt&', false],
      ['/v1/trash?', false],
      ['/v1/activity?', false],
    ] as const) {
      const { nextCursor } = (await ada.request(`${path}limit=1`)).body as { nextCursor: string }
      const [list, key, id] = JSON.parse(Buffer.from(nextCursor, 'base64url').toString())
      const keys = isText ? ODD_NAMES : ODD_NUMBERS
      const odd = [
        ...keys.map((text) => `[${JSON.stringify(list)},${text},${JSON.stringify(id)}]`),
        ...ODD_IDS.map((text) => `[${JSON.stringify(list)},${JSON.stringify(key)},${text}]`),
        ...['{}', 'null', '1', '[]', '[[]]', JSON.stringify([list, key]), JSON.stringify([list, key, id, id])],
      ]
      const answers = await Promise.all(
        odd.map(async (text) => {
          const { status, body } = await ada.request(`${path}cursor=${Buffer.from(text).toString('base64url')}`)
          return [path, text, status, (body as { code: string }).code]
        }),
      )
      expect(answers).toEqual(odd.map((text) => [path, text, 400, 'invalid-cursor']))
      expect((await ada.request(`${path}cursor=${nextCursor}`)).status).toBe(200)
    }
  })

  it(`on ${engine}, in JSON bodies, are a 400 and change nothing`, async () => {
    const app = await testApp(await settings())
    const ada = await member(app)
    await ada.put('a', 'a')
    const person = { name: 'Ben', email: 'ben@example.org', deviceId: 'device-of-ben' }
    const whole = [
      ['POST', '/v1/users', person],
      ['POST', '/v1/pins', { deviceId: person.deviceId }],
      ['POST', '/v1/sessions', { deviceId: person.deviceId, pin: '0000' }],
      ['PATCH', '/v1/files/a', { name: 'b' }],
    ] as const
    const requests = whole.flatMap(([method, path, fields]) =>
      Object.keys(fields).flatMap((field) =>
        ODD_TEXTS.map(
          (text) => [method, path, JSON.stringify({ ...fields, [field]: 0 }).replace(/:0/, `:${text}`)] as const,
        ),
      ),
    )
    const headers = { 'content-type': 'application/json' }
    for (const [method, path, body] of requests) {
      const { status } = await ada.request(path, { method, headers, body })
      expect([method, path, body, status]).toEqual([method, path, body, 400])
    }
    expect((await ada.get('a')).body).toBe('a')
  })
}

const ODD_TEXTS = [
  '""',
  '"\\u0000"',
  '"ab\\u0000cdefghij"',
  '"\\ud800"',
  '"abcdefghi\\udfff"',
  '"\\u0007"',
  '1e308',
  '[[]]',
  'null',
]
ODD_TEXTS.push('true', '{}', JSON.stringify('x'.repeat(300)), '["device-of-ben"]')
const ODD_NUMBERS = ['1e308', '-1e308', '1e400', '-1.5', '0.1', '9007199254740992', '-9007199254740992', '"5"']
ODD_NUMBERS.push('true', 'null', '[5]', '[[1]]', '{}', '"a"')
const ODD_NAMES = ['5', 'true', 'null', '["a"]', '{}', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfffa"', '"a\\n"']
ODD_NAMES.push(JSON.stringify('x'.repeat(256)), JSON.stringify('é'.repeat(128)))
const ODD_IDS = ['""', '"\\u0000"', '"\\ud800"', '"a b"', '5', 'null', '["a"]', 'true', JSON.stringify('x'.repeat(65))]

describe('odd values', () => {
  oddValues('SQLite', async () => ({}))
})

describePostgres('odd values', () => {
  oddValues('PostgreSQL', async () => ({
    DATABASE_URL: await emptySchema(),
    MASTER_KEY: randomBytes(32).toString('base64'),
  }))
})
