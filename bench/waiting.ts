/** Measures clients that wait for changes: what they cost while nothing happens. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { mainThreadMs, type Server, signedIn, watchMemory } from './servers.ts'

export const WAITERS = 1000
/** Each user may have an eighth of the running requests. */
const USERS = 4

export interface Waiting {
  /** The growth of the peak of resident memory, in MiB; `null` if the system does not report it. */
  growthMib: number | null
  /** CPU milliseconds of the server in each second at rest. */
  cpuMsPerSecond: number
  /** Milliseconds from an upload of the user to the last response of its waiting clients. */
  wakeMs: number
}

export async function waiting(server: Server, seconds: number): Promise<Waiting> {
  const users = []
  for (let n = 0; n < USERS; n += 1) users.push(await signedIn(server.port, `waiting-${n}`))
  const cursors = await Promise.all(users.map((headers) => cursorOf(server, headers)))
  // So that the memory of the code for it, and the garbage of so many requests, are not counted.
  for (let n = 0; n < WAITERS / USERS; n += 1)
    await Promise.all(users.map((headers, n) => call(server, headers, `/v1/changes?wait=0.01&cursor=${cursors[n]}`)))
  await sleep(1000)
  const memory = watchMemory(server.pid)
  const sockets: Socket[] = []
  for (let n = 0; n < WAITERS; n += 1) {
    const { authorization } = users[n % USERS] as { authorization: string }
    const socket = connect(server.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      `GET /v1/changes?wait=60&cursor=${cursors[n % USERS]} HTTP/1.1\r\nHost: bench\r\nAuthorization: ${authorization}\r\n\r\n`,
    )
    sockets.push(socket)
  }
  await sleep(2000)
  const before = mainThreadMs(server.pid)
  await sleep(seconds * 1000)
  const cpuMsPerSecond = (mainThreadMs(server.pid) - before) / seconds
  const growthMib = memory()?.growth ?? null

  const began = performance.now()
  const answered = Promise.all(sockets.filter((_, n) => n % USERS === 0).map((socket) => once(socket, 'data')))
  await call(server, users[0] as Headers, '/v1/files/photo.jpg', 'PUT')
  await answered
  const wakeMs = performance.now() - began
  for (const socket of sockets) socket.destroy()
  return { growthMib, cpuMsPerSecond, wakeMs }
}

type Headers = Record<string, string>

async function cursorOf(server: Server, headers: Headers): Promise<string> {
  return ((await (await call(server, headers, '/v1/changes')).json()) as { nextCursor: string }).nextCursor
}

async function call({ port }: Server, headers: Headers, path: string, method = 'GET'): Promise<Response> {
  const body = method === 'PUT' ? { body: String(Math.random()) } : {}
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...body })
  if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}`)
  return new Response(await response.arrayBuffer(), response)
}
