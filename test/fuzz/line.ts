/** A connection on which any bytes can be sent, and a strict reader of what comes back. */
import { connect } from 'node:net'

export interface Answer {
  status: number
  /** Names in lower case; what came twice is joined. */
  headers: Record<string, string>
  body: Buffer
}

export interface Outcome {
  answers: Answer[]
  /** What was wrong with the exchange itself: silence, a break, bytes that are no HTTP. */
  fault: string | null
}

export interface Line {
  /**
   * Sends a request for each of the methods and reads as many answers. With `last`, our side ends after that, or after
   * so many ms: what was sent may be no request at all, so any number of answers will do.
   */
  exchange(bytes: Buffer, methods: string[], last?: { afterMs: number }): Promise<Outcome>
  /** False once the server has ended it, or a request has. */
  isOpen(): boolean
  end(): Promise<void>
}

/** No request takes longer, and no connection stays open for longer once it is over. */
const PATIENCE_MS = 10_000

export function openLine(url: string): Line {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let received = Buffer.alloc(0)
  let open = true
  let look = () => {}
  socket.setNoDelay(true)
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    look()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    open = false
    look()
  })

  async function exchange(bytes: Buffer, methods: string[], last?: { afterMs: number }): Promise<Outcome> {
    const outcome: Outcome = { answers: [], fault: null }
    const timers = last ? [setTimeout(() => socket.end(), last.afterMs)] : []
    socket.write(bytes)
    const isOver = () => {
      take(outcome, methods)
      if (outcome.fault || !open) return true
      // Of no requests at all, the end of the connection is the answer.
      return !last && outcome.answers.length >= methods.length && !isClosing(outcome.answers)
    }
    const inTime = await until(isOver)
    for (const timer of timers) clearTimeout(timer)
    outcome.fault ??= faultOf(outcome, inTime, last ? 0 : methods.length)
    if (last || outcome.fault) open = false
    if (outcome.fault) socket.destroy()
    return outcome
  }

  /** Moves whole answers from what was received to the outcome. */
  function take(outcome: Outcome, methods: string[]) {
    try {
      for (;;) {
        const read = readAnswer(received, methods[outcome.answers.length] ?? 'GET', !open)
        if (!read) return
        received = received.subarray(read.length)
        if (read.answer.status >= 200) outcome.answers.push(read.answer)
      }
    } catch (error) {
      outcome.fault = (error as Error).message
    }
  }

  function faultOf({ answers }: Outcome, inTime: boolean, wanted: number): string | null {
    if (!inTime) return answers.length < wanted ? 'no answer within 10 s' : 'the connection was left open for 10 s'
    if (received.length > 0) return `bytes that belong to no answer: ${shown(received)}`
    const isLast = isClosing(answers)
    return answers.length < wanted && !isLast ? 'the connection ended without an answer' : null
  }

  function until(isOver: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (inTime: boolean) => {
        clearTimeout(timer)
        look = () => {}
        resolve(inTime)
      }
      const timer = setTimeout(() => finish(false), PATIENCE_MS)
      look = () => {
        if (isOver()) finish(true)
      }
      look()
    })
  }

  return {
    exchange,
    isOpen: () => open && socket.writable,
    async end() {
      socket.end()
      if (open && !(await until(() => socket.destroyed))) socket.destroy()
    },
  }
}

const isClosing = (answers: Answer[]) => /\bclose\b/i.test(answers.at(-1)?.headers.connection ?? '')

export const shown = (bytes: Buffer, most = 300) => JSON.stringify(bytes.toString('latin1').slice(0, most))

/** The first answer and its length; `null` while it is not complete. Throws where it is none. */
export function readAnswer(bytes: Buffer, method: string, ended: boolean): { answer: Answer; length: number } | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [first = '', ...fields] = bytes.toString('latin1', 0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/.exec(first)?.[1])
  if (!status) throw new Error(`not a status line: ${JSON.stringify(first)}`)
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(field) ?? []
    if (name === undefined || value === undefined) throw new Error(`not a header field: ${JSON.stringify(field)}`)
    const key = name.toLowerCase()
    headers[key] = headers[key] === undefined ? value : `${headers[key]}, ${value}`
  }
  const body = bodyOf(bytes.subarray(end + 4), status, headers, method, ended)
  return body && { answer: { status, headers, body: body.content }, length: end + 4 + body.length }
}

type Headers = Answer['headers']

/** RFC 9112, section 6.3. */
function bodyOf(bytes: Buffer, status: number, headers: Headers, method: string, ended: boolean) {
  const { 'content-length': length, 'transfer-encoding': coding } = headers
  if (length !== undefined && coding !== undefined) throw new Error('both a Content-Length and a Transfer-Encoding')
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { content: Buffer.alloc(0), length: 0 }
  if (coding !== undefined) return dechunked(bytes)
  if (length === undefined) return ended ? { content: bytes, length: bytes.length } : null
  if (!/^\d+$/.test(length)) throw new Error(`not a Content-Length: ${length}`)
  return bytes.length < Number(length) ? null : { content: bytes.subarray(0, Number(length)), length: Number(length) }
}

function dechunked(bytes: Buffer): { content: Buffer; length: number } | null {
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const eol = bytes.indexOf('\r\n', at)
    if (eol === -1) return null
    const size = Number.parseInt(bytes.toString('latin1', at, eol), 16)
    if (Number.isNaN(size)) throw new Error('not a chunk')
    const next = eol + 2 + size + 2
    if (bytes.length < next) return null
    chunks.push(bytes.subarray(eol + 2, eol + 2 + size))
    if (size === 0) return { content: Buffer.concat(chunks), length: next }
    at = next
  }
}
