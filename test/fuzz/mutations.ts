/** What is done to a valid request so that it is not, or only strange. Each takes a draft and says in it what it did. */
import { type Author, type Draft, putForm } from './drafts.ts'
import { FIELDS, MEDIA_TYPES, METHODS, TOKENS } from './fields.ts'
import { brokenForm } from './forms.ts'
import { JSON_BODIES, JSON_VALUES, TEXTS } from './hostile.ts'
import { jsonOf } from './memory.ts'

/** Answers what was done; `null` where this draft has nothing to do it to. */
type Mutation = (draft: Draft, author: Author) => string | null

/** What Node's parser, or RFC 9112, refuses whatever the route. */
const NOISY = /^(transfer-encoding|host|content-length|connection|upgrade)$/i

export function spoil(draft: Draft, author: Author): void {
  const { dice } = author
  const times = dice.pick([1, 1, 1, 2, 3])
  for (let n = 0; n < times; n += 1) {
    const how = dice.pick(MUTATIONS)(draft, author)
    if (how) draft.spoilt.push(how)
  }
  // A parser that gives up does not know the method: its refusal has a body, which an answer to HEAD has not.
  if (draft.noisy && draft.method === 'HEAD') draft.method = 'GET'
}

/** Half a surrogate pair becomes U+FFFD. */
const encoded = (text: string) => encodeURIComponent(Buffer.from(text).toString())

/** A segment of the path, as somebody might write it who joins strings. */
const inPath: Mutation = (draft, { dice }) => {
  const segments = draft.path.split('/')
  const at = 1 + dice.below(segments.length - 1)
  const text = dice.pick(TEXTS)
  segments[at] = dice.pick([
    encoded(text),
    encoded(text),
    '%ff',
    '%',
    '%2',
    '%c0%af',
    '%ed%a0%80',
    '%00',
    '%252e%252e',
    '%2F',
    `${segments[at]};a=b`,
    `${segments[at]}/`,
    `${segments[at]}%20`,
    '//',
    'x'.repeat(3000),
    (segments[at] ?? '').toUpperCase(),
    (segments[at] ?? '').replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  ])
  draft.path = segments.join('/')
  return 'path'
}

const inQuery: Mutation = (draft, { dice }) => {
  const names = [
    ...draft.query.map(([name]) => name),
    'limit',
    'cursor',
    'sort',
    'order',
    'prefix',
    'onConflict',
    'disposition',
  ]
  const name = dice.pick([...names, ...names, encoded(dice.pick(TEXTS)), `${dice.pick(names)}[]`, '', '__proto__'])
  const value = dice.pick([
    encoded(dice.pick(TEXTS)),
    '%ff',
    '%',
    '[1]',
    Buffer.from('["files","x",1]').toString('base64url'),
  ])
  const again = dice.oneIn(2)
  draft.query = [...draft.query.filter(([other]) => again || other !== name), [name, value]]
  return `query ${name}`
}

const inField: Mutation = (draft, { dice }) => {
  const name = dice.pick(Object.keys(FIELDS))
  const value = dice.pick(FIELDS[name] as readonly string[])
  if (!dice.oneIn(4)) draft.headers = draft.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase())
  draft.headers.push([dice.oneIn(3) ? name.toLowerCase() : name, value])
  if (NOISY.test(name) || /\p{Cc}/u.test(value)) draft.noisy = true
  if (/^transfer-encoding$/i.test(name)) draft.unfinished = true
  if (/^connection|upgrade$/i.test(name)) draft.unfinished = true
  return name
}

const withoutField: Mutation = (draft, { dice }) => {
  if (draft.headers.length === 0) return null
  const [name] = dice.pick(draft.headers)
  draft.headers = draft.headers.filter(([other]) => other !== name)
  if (name === 'Host') draft.noisy = true
  return `no ${name}`
}

const ofAnotherType: Mutation = (draft, { dice }) => {
  draft.headers = draft.headers.filter(([name]) => name.toLowerCase() !== 'content-type')
  draft.headers.push(['Content-Type', dice.pick(MEDIA_TYPES)])
  draft.content = null
  return 'media type'
}

const anotherToken: Mutation = (draft, { dice, memory }) => {
  draft.headers = draft.headers.filter(([name]) => name !== 'Authorization')
  const ended = memory.fields('ended').map((token) => `Bearer ${token}`)
  draft.headers.push(['Authorization', dice.pick([...TOKENS, ...ended, ...ended])])
  return 'token'
}

const anotherMethod: Mutation = (draft, { dice }) => {
  draft.method = dice.pick(METHODS)
  // Not every parser knows these.
  if (/^(QUERY|M-SEARCH)$/.test(draft.method)) draft.noisy = true
  return 'method'
}

const inJson: Mutation = (draft, { dice }) => {
  const value = jsonOf(draft.body ?? Buffer.alloc(0))
  if (typeof value !== 'object' || value === null || !draft.body) return null
  const members = Object.entries(value)
  if (members.length === 0) return null
  const [name] = dice.pick(members)
  const other = JSON.stringify(dice.pick(JSON_VALUES))
  const text = JSON.stringify(value)
  const made = dice.pick([
    () => JSON.stringify({ ...value, [name]: JSON.parse(other) }),
    () => JSON.stringify({ ...value, [name]: JSON.parse(other) }),
    () => JSON.stringify({ ...value, [name]: dice.pick(TEXTS) }),
    () => JSON.stringify(Object.fromEntries(members.filter(([member]) => member !== name))),
    () => JSON.stringify({ ...value, [dice.pick(TEXTS)]: JSON.parse(other) }),
    () => `${text.slice(0, -1)},${JSON.stringify(name)}:${other}}`,
    () => `{${JSON.stringify(name)}:${other},${text.slice(1)}`,
    () => JSON.stringify({ ...value, padding: 'x'.repeat(dice.pick([15_000, 16_384, 40_000])) }),
    () => text.slice(0, dice.below(text.length)),
    () => `${text}${dice.pick([' ', '\n\n', '\0', text, ','])}`,
    () => dice.pick(JSON_BODIES),
  ])()
  draft.body = dice.oneIn(12) ? Buffer.from(made, 'utf16le') : Buffer.from(made)
  return `JSON ${name}`
}

/** Bytes where they do not belong: a body of a GET, a form where JSON goes. */
const anotherBody: Mutation = (draft, author) => {
  const { dice } = author
  const form = brokenForm(author)
  if (dice.oneIn(2) || draft.body === null) {
    draft.body = Buffer.from(dice.pick(JSON_BODIES))
    draft.content = null
    if (dice.oneIn(2)) draft.headers.push(['Content-Type', 'application/json'])
    return 'body'
  }
  putForm(draft, form)
  // Raw bytes to one operation, a form to another.
  draft.content = null
  return form.how
}

const inForm: Mutation = (draft, author) => {
  if (!draft.headers.some(([, value]) => value.startsWith('multipart/'))) return null
  const form = brokenForm(author)
  putForm(draft, form)
  return form.how
}

/** The length that is announced is not that of the body. */
const wrongLength: Mutation = (draft, { dice }) => {
  if (draft.body === null || draft.chunked) return null
  const length = draft.body.length
  const announced = dice.pick([length + 1 + dice.below(1000), dice.below(length + 1), 2 ** 40, -1, Number.NaN])
  draft.headers.push(['Content-Length', dice.oneIn(8) ? `${length}, ${announced}` : String(announced)])
  draft.content = announced <= length ? draft.content && draft.body.subarray(0, announced) : null
  draft.noisy = true
  draft.unfinished = true
  return `length ${announced} of ${length}`
}

const MUTATIONS: readonly Mutation[] = [
  inPath,
  inQuery,
  inQuery,
  inField,
  inField,
  inField,
  withoutField,
  ofAnotherType,
  anotherToken,
  anotherMethod,
  inJson,
  inJson,
  inJson,
  anotherBody,
  inForm,
  inForm,
  wrongLength,
]
