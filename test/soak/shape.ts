/** A way to run the server: its processes, its engines, and how they fail. */
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultyProxy } from '../support/faulty-proxy.ts'
import { call } from '../support/http.ts'
import { type ServerProcess, serverProcess } from '../support/process.ts'
import type { Journal } from './journal.ts'
import type { Outages } from './outages.ts'

export interface Shape {
  name: string
  /** Where commands run. */
  folder: string
  /** For commands. They reach the engines without faulty lines. */
  settings: Record<string, string>
  /** For the servers. A restart takes changes over. */
  serverSettings: Record<string, string>
  scheme: 'http' | 'https'
  /** The port that the phones reach. */
  port: number
  fleet: Fleet
  /** Faults that end a process, and faults that leave all processes alive. */
  killing: Fault[]
  sparing: Fault[]
  hasBackup: boolean
  /** A commit in the database that has a time limit, past its faulty line. */
  commit(): Promise<unknown>
  /** The names of everything stored, and of uploads that are neither complete nor aborted. */
  stored(): Promise<{ blobs: string[]; unfinished: string[] }>
}

export interface Fault {
  name: string
  run(): Promise<void>
}

/** The server processes, each on its own port. */
export interface Fleet {
  servers: ServerProcess[]
  /** All processes that ever ran. */
  all: ServerProcess[]
  /** Ends one as a crash does, and starts it again. */
  crash(n: number): Promise<void>
  /** Restarts one after the other. */
  restart(): Promise<void>
  freeze(n: number, ms: number): Promise<void>
  untilReady(): Promise<void>
  stop(): Promise<void>
}

const READY_MS = 60_000
const POLL_MS = 100

export async function fleetOf(
  folder: string,
  ports: number[],
  settings: Record<string, string>,
  journal: Journal,
): Promise<Fleet> {
  const all: ServerProcess[] = []
  const start = (port: number) => {
    const server = serverProcess(folder, { ...settings, PORT: String(port) })
    all.push(server)
    return server
  }
  const servers = ports.map(start)
  await Promise.all(servers.map(({ url }) => url))
  const again = async (n: number) => {
    servers[n] = start(ports[n] as number)
    await servers[n].url
  }
  const fleet: Fleet = {
    servers,
    all,
    async crash(n) {
      await servers[n]?.stop('SIGKILL')
      await again(n)
    },
    async restart() {
      for (const [n, server] of servers.entries()) {
        const code = await server.stop('SIGTERM')
        if (code !== 0) journal.violation(`a server that was stopped ended with ${code}`)
        await again(n)
      }
    },
    async freeze(n, ms) {
      const { pid } = servers[n] as ServerProcess
      process.kill(pid, 'SIGSTOP')
      await pause(ms)
      process.kill(pid, 'SIGCONT')
    },
    async untilReady() {
      const until = performance.now() + READY_MS
      for (const port of ports) {
        for (;;) {
          const status = await call(`http://127.0.0.1:${port}/health/ready`).then(
            ({ status }) => status,
            () => 0,
          )
          if (status === 200) break
          if (performance.now() > until) {
            journal.violation(`a server is not ready a minute after a fault: ${status}`)
            return
          }
          await pause(POLL_MS)
        }
      }
    },
    async stop() {
      for (const server of servers) {
        const code = await server.stop('SIGTERM')
        if (code !== 0) journal.violation(`a server that was stopped ended with ${code}`)
      }
    },
  }
  return fleet
}

/** Ways in which a line to an engine fails for some seconds. */
export function lineFaults(engine: string, line: FaultyProxy, ms: number): Fault[] {
  return [
    {
      name: `${engine} hangs`,
      async run() {
        line.hang()
        await pause(ms)
        await line.heal()
      },
    },
    {
      name: `${engine} is down`,
      async run() {
        await line.refuse()
        await pause(ms)
        await line.heal()
      },
    },
    {
      name: `${engine} breaks connections`,
      async run() {
        line.cut()
      },
    },
  ]
}

export async function suffer(fault: Fault, outages: Outages, journal: Journal): Promise<void> {
  journal.counts.faults += 1
  journal.act(`fault: ${fault.name}`)
  await outages.during(fault.run)
}
