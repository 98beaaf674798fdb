/** Interim responses (RFC 9110, section 15.2). */
import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'

STATUS_CODES[104] ??= 'Upload Resumption Supported'

/** Well below the minute after which many clients give up. */
const EVERY_MS = 15_000

/** Sends an interim response. Node has a method for it from version 24 on. */
export function sendInterim({ raw }: FastifyReply, status: 102 | 104, fields: Record<string, string> = {}): void {
  const response = raw as typeof raw & {
    writeInformation?: (status: number, fields: Record<string, string>) => void
    _writeRaw?: (head: string, encoding: string) => void
  }
  if (response.writeInformation) {
    response.writeInformation(status, fields)
    return
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  response._writeRaw?.(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`, 'latin1')
}

/** Runs the work. Once the body has arrived, a 102 (Processing) from time to time tells the client that it still runs. */
export async function whileAlive<Result>(
  reply: FastifyReply,
  interim: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  const { raw } = reply.request
  if (!interim || raw.httpVersion !== '1.1') return work()
  const timer = setInterval(() => {
    if (raw.complete && !raw.socket.destroyed && !reply.raw.headersSent) sendInterim(reply, 102)
  }, EVERY_MS)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}
