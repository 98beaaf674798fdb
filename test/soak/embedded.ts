/** One server with SQLite and a folder, on a small disk where the machine lets us mount one. */
import { randomBytes } from 'node:crypto'
import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { temporaryFolder } from '../support/app.ts'
import { type Disk, filesBelow, smallDisk } from '../support/disk.ts'
import { lastingPort } from '../support/lasting-port.ts'
import type { Clock } from './clock.ts'
import type { Journal } from './journal.ts'
import { SETTINGS } from './settings.ts'
import { type Fault, fleetOf, type Shape } from './shape.ts'

const DISK_MIB = 400
const FULL_MS = 2000
const FROZEN_MS = 1500

export async function embedded(clock: Clock, journal: Journal): Promise<Shape> {
  const disk = mounted()
  const folder = disk?.path ?? (await temporaryFolder())
  const port = await lastingPort()
  const settings = { ...SETTINGS, ...clock.settings, MASTER_KEY: randomBytes(32).toString('base64') }
  const serverSettings = { ...settings }
  const fleet = await fleetOf(folder, [port], serverSettings, journal)
  const uploads = join(folder, 'uploads')
  return {
    ...{ name: 'SQLite and a disk', folder, settings, serverSettings, scheme: 'http', port, fleet, hasBackup: true },
    // SQLite has no time limit.
    commit: async () => {},
    killing: [{ name: 'the server is killed', run: () => fleet.crash(0) }],
    sparing: [
      ...(disk ? [fullDisk(disk)] : []),
      { name: 'the server stands still', run: () => fleet.freeze(0, FROZEN_MS) },
    ],
    stored: async () => ({ blobs: filesBelow(uploads).map((path) => relative(uploads, path)), unfinished: [] }),
  }
}

function fullDisk(disk: Disk): Fault {
  return {
    name: 'the disk is full',
    async run() {
      try {
        fill(disk)
        await pause(FULL_MS)
      } finally {
        disk.free()
      }
    },
  }
}

function fill(disk: Disk) {
  try {
    disk.fill()
  } catch (error) {
    // The server was writing, too.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

/** `null` if this is not permitted. */
function mounted(): Disk | null {
  try {
    return smallDisk(() => {
      throw new Error('not permitted')
    }, DISK_MIB)
  } catch {
    process.stderr.write('no disk is mounted, so none gets full: run this as root\n')
    return null
  }
}
