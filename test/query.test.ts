import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { parseQuery } from '../src/http/query.ts'

it.each([
  ['', {}],
  ['a=1&b=2', { a: '1', b: '2' }],
  ['a+b=c+d', { 'a b': 'c d' }],
  ['a=%E2%82%AC%2B', { a: '€+' }],
  ['a%3Db=%26', { 'a=b': '&' }],
  ['a=b=c', { a: 'b=c' }],
  ['a&b=&&=c&', { a: '', b: '', '': 'c' }],
  ['a=1&a=2&a=3', { a: ['1', '2', '3'] }],
])('the query %j is read as a form', (query, parameters) => {
  expect({ ...parseQuery(query) }).toEqual(parameters)
})

it('a query has no parameter that nobody gave', () => {
  expect(parseQuery('a=1').constructor).toBeUndefined()
  expect(Object.keys(parseQuery('__proto__=1'))).toEqual(['__proto__'])
})

it('a query with percent-encoded characters keeps no more memory than one with others', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  const kept = Array.from({ length: 500 }, (_, n) => parseQuery(`a=${n}${'%41'.repeat(5000)}`))
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(kept.length * 20_000)
})
