/** Sends requests over raw sockets. It uses little CPU: bytes are prepared once and never inspected. */
import { connect } from 'node:net'

const READ_BYTES = 1024 * 1024
/** The number of blocks in the socket at a time: one is being sent, one waits. */
const BLOCKS_AHEAD = 2

export interface RawRequest {
  method: string
  path: string
  headers: Record<string, string>
  /** The body: `before`, then `block` repeated `times`, then `after`. */
  before?: string
  block?: Buffer
  times?: number
  after?: string
}

/** One connection, for one request after another. */
export interface RawConnection {
  /** Sends the request and counts the bytes of the response body. Throws if the response is not a 2xx or breaks off. */
  call(request: RawRequest): Promise<number>
  close(): void
}

/** Sends one request over a connection of its own. */
export async function rawCall(port: number, request: RawRequest): Promise<number> {
  const connection = rawConnection(port)
  try {
    return await connection.call(request)
  } finally {
    connection.close()
  }
}

export function rawConnection(port: number): RawConnection {
  let answer = answerReader()
  let settle: (end: number | Error) => void = () => {}
  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback(count, buffer) {
        const end = answer.take(Buffer.from(buffer.buffer, buffer.byteOffset, count))
        if (end !== null) settle(end)
        return true
      },
    },
  })
  socket.on('error', (error) => settle(error))
  socket.on('close', () => settle(new Error('no whole answer')))
  return {
    call: (request) =>
      new Promise((resolve, reject) => {
        answer = answerReader()
        settle = (end) => (typeof end === 'number' ? resolve(end) : reject(end))
        send(request, (bytes, sent) => socket.write(bytes, sent))
      }),
    close: () => void socket.destroy(),
  }
}

function send(request: RawRequest, write: (bytes: Buffer | string, sent?: () => void) => void): void {
  const { method, path, headers, before = '', block = Buffer.alloc(0), times = 0, after = '' } = request
  const length = Buffer.byteLength(before) + block.length * times + Buffer.byteLength(after)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...(method === 'GET' ? [] : [`Content-Length: ${length}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  write(`${lines.join('\r\n')}\r\n\r\n${before}`)
  let left = times
  for (let ahead = 0; ahead < BLOCKS_AHEAD; ahead += 1) next()
  if (times === 0 && after !== '') write(after)

  function next() {
    if (left === 0) return
    left -= 1
    write(block, next)
    if (left === 0 && after !== '') write(after)
  }
}

/** Takes received chunks. Returns `null` until the response is complete, then the length of its body, or an error. */
function answerReader() {
  let head = ''
  let wanted = -1
  let got = 0

  return {
    take(bytes: Buffer): number | Error | null {
      if (wanted < 0) {
        head += bytes.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return null
        if (!/^HTTP\/1\.1 2/.test(head)) return new Error(`unexpected answer: ${head}`)
        const length = /^content-length: *(\d+)/im.exec(head.slice(0, end + 2))?.[1]
        if (length === undefined && !/^HTTP\/1\.1 204/.test(head)) return new Error(`no Content-Length: ${head}`)
        wanted = Number(length ?? 0)
        got = head.length - end - 4
      } else {
        got += bytes.length
      }
      return got < wanted ? null : got
    },
  }
}
