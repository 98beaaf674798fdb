/** Forms (RFC 7578): as they should be, and broken in every way that comes to mind. */
import type { Dice } from './chance.ts'
import { type Author, contentOf } from './drafts.ts'
import { TEXTS } from './hostile.ts'

export interface Form {
  contentType: string
  body: Buffer
  /** The bytes of its file, where a server that takes it must have found just these. */
  content: Buffer | null
}

interface Part {
  head: string
  content: Buffer
}

export function validForm(author: Author): Form {
  const { dice } = author
  const content = contentOf(author)
  const name = `${dice.pick(['photo', 'scan', 'été'])}-${dice.below(6)}.jpg`
  const type = dice.oneIn(2) ? '\r\nContent-Type: image/jpeg' : ''
  const file = { head: `Content-Disposition: form-data; name="file"; filename="${name}"${type}`, content }
  const field = { head: 'Content-Disposition: form-data; name="name"', content: Buffer.from(`named-${dice.below(6)}`) }
  const parts = dice.pick([[file], [file, field], [field, file]])
  return { ...formOf(parts, `----${dice.word(20)}`), content }
}

function formOf(parts: Part[], boundary: string): Form {
  const chunks = parts.flatMap(({ head, content }) => [`--${boundary}\r\n${head}\r\n\r\n`, content, '\r\n'])
  const body = Buffer.concat([...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk)))
  return { contentType: `multipart/form-data; boundary=${boundary}`, body, content: null }
}

const file = (content: Buffer | string, filename = 'x.bin', name = 'file') => ({
  head: `Content-Disposition: form-data; name="${name}"; filename="${filename}"`,
  content: Buffer.from(content),
})

const field = (name: string, value: string) => ({
  head: `Content-Disposition: form-data; name="${name}"`,
  content: Buffer.from(value),
})

type Breakage = (dice: Dice, content: Buffer) => Form

const B = 'fuzz-boundary'

/** Each is one way to be broken; what a file's name may be is among them. */
const BREAKAGES: Record<string, Breakage> = {
  'no boundary': (_dice, content) => ({ ...formOf([file(content)], B), contentType: 'multipart/form-data' }),
  'another boundary': (_dice, content) => ({
    ...formOf([file(content)], B),
    contentType: 'multipart/form-data; boundary=other',
  }),
  'no final boundary': (_dice, content) => cut(formOf([file(content)], B), B.length + 6),
  'cut anywhere': (dice, content) => {
    const form = formOf([file(content), field('name', 'cut')], B)
    return cut(form, 1 + dice.below(form.body.length))
  },
  'boundary in the bytes': (_dice, content) =>
    formOf([file(Buffer.concat([content, Buffer.from(`\r\n--${B}`), content]))], B),
  'nearly the boundary in the bytes': (_dice, content) => {
    const near = Buffer.concat([content, Buffer.from(`\r\n--${B.slice(0, -1)}\r\n-\r\r\n--\n--${B}`), content])
    return { ...formOf([file(near)], B), content: near }
  },
  'a thousand parts': () =>
    formOf(
      Array.from({ length: 1000 }, (_, n) => field(`f${n}`, 'x')),
      B,
    ),
  'a thousand files': () =>
    formOf(
      Array.from({ length: 1000 }, () => file('x')),
      B,
    ),
  'two files': (_dice, content) => formOf([file(content), file(content)], B),
  'two names': (_dice, content) => formOf([field('name', 'a'), file(content), field('name', 'b')], B),
  'no file': () => formOf([field('name', 'a')], B),
  'nothing at all': () => formOf([], B),
  'an empty body': () => ({ ...formOf([], B), body: Buffer.alloc(0) }),
  'a file of another name': (_dice, content) => formOf([file(content, 'x', 'attachment')], B),
  'text as the file': () => formOf([field('file', 'text')], B),
  'a file as the name': (_dice, content) => formOf([file('x', 'y', 'name'), file(content)], B),
  'a hostile file name': (dice, content) => ({
    ...formOf([file(content, dice.pick(TEXTS).replaceAll('"', '%22'))], B),
  }),
  'a hostile name': (dice, content) => formOf([file(content), field('name', dice.pick(TEXTS))], B),
  'a name of 2 KiB': (_dice, content) => formOf([file(content), field('name', 'n'.repeat(2048))], B),
  'an extended file name': (_dice, content) =>
    formOf([{ head: `Content-Disposition: form-data; name="file"; filename*=UTF-8''%ff%00..%2f`, content }], B),
  'no disposition': (_dice, content) => formOf([{ head: 'Content-Type: text/plain', content }], B),
  'a head of 20 KiB': (_dice, content) =>
    formOf([{ head: `X-Long: ${'x'.repeat(20_000)}`, content }, file(content)], B),
  'a hundred part headers': (_dice, content) =>
    formOf([{ head: `${'X-A: b\r\n'.repeat(100)}${file('').head}`, content }], B),
  'a broken part head': (_dice, content) =>
    formOf([{ head: 'Content-Disposition\r\n:::\r\n\0', content }, file(content)], B),
  'a nested form': (_dice, content) => {
    const inner = formOf([file(content)], 'inner')
    return formOf(
      [{ head: `${file('').head}\r\nContent-Type: multipart/mixed; boundary=inner`, content: inner.body }],
      B,
    )
  },
  'a coded part': (_dice, content) =>
    formOf([{ head: `${file('').head}\r\nContent-Transfer-Encoding: base64`, content }], B),
  'line feeds alone': (_dice, content) => {
    const form = formOf([file(content)], B)
    return { ...form, body: Buffer.from(form.body.toString('latin1').replaceAll('\r\n', '\n'), 'latin1') }
  },
  'something before and behind it': (_dice, content) => {
    const form = formOf([file(content)], B)
    return { ...form, body: Buffer.concat([Buffer.from('preamble\r\n'), form.body, Buffer.from('epilogue')]) }
  },
  'a file without a name': (_dice, content) => formOf([file(content, '')], B),
  'a type that is none': (_dice, content) =>
    formOf([{ head: `${file('').head}\r\nContent-Type: \xff/\0${'x'.repeat(300)}`, content }], B),
}

export function brokenForm(author: Author): Form & { how: string } {
  const how = author.dice.pick(Object.keys(BREAKAGES))
  return { ...(BREAKAGES[how] as Breakage)(author.dice, contentOf(author)), how }
}

function cut(form: Form, bytes: number): Form {
  return { ...form, body: form.body.subarray(0, form.body.length - bytes) }
}
