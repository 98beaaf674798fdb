/**
 * Room that is kept for bad times. On a full disk a delete needs room too, in the database's log, before any comes
 * back; a file in the data folder holds that room, and is given up for it.
 */
import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { diskFault } from './faults.ts'

export const RESERVE_BYTES = 8 * 1024 * 1024
const TRY_AGAIN_MS = 1000

export interface Reserve {
  /**
   * Runs an act that writes to the database. Where the disk is full, the reserve is given up and the act is run once
   * more, so it must be one that undoes itself. Faults of the disk come with the codes that `ports.ts` promises.
   */
  rescue<T>(act: () => T): T
  /**
   * Resolves while the reserve is there. Where it is not, tries to take it, at most once a second; throws where that
   * fails, with the code `ENOSPC` where there is no room.
   */
  take(): Promise<void>
}

/** `tell` hears when the reserve goes and comes. */
export function diskReserve(folder: string, tell: (message: string) => void): Reserve {
  const path = join(folder, 'reserve')
  let held = isWhole(path)
  let fault: unknown = null
  let triedAt = Number.NEGATIVE_INFINITY

  return {
    rescue(act) {
      let full: unknown
      try {
        return act()
      } catch (error) {
        full = diskFault(error, folder)
        if (!held || !isFull(full)) throw full
      }
      try {
        giveUp(full)
        return act()
      } catch (error) {
        throw diskFault(error, folder)
      }
    },

    async take() {
      if (held) return
      if (performance.now() - triedAt < TRY_AGAIN_MS) throw fault
      try {
        fill(path)
      } catch (error) {
        missed(diskFault(error, folder))
        throw fault
      }
      held = true
      if (fault) tell(`there is room in ${folder} again: uploads are taken`)
      fault = null
    },
  }

  function giveUp(full: unknown) {
    rmSync(path, { force: true })
    held = false
    missed(full)
    tell(`the disk of ${folder} is full: its reserve is given up, and no upload is taken until there is room`)
  }

  function missed(why: unknown) {
    fault = why
    triedAt = performance.now()
  }
}

/** Allocates the room. At once, so that no commit can meet the disk between: it takes a few milliseconds. */
function fill(path: string) {
  rmSync(path, { force: true })
  const file = openSync(path, 'wx', 0o600)
  try {
    const block = Buffer.alloc(1024 * 1024)
    // At random, so that a disk that packs what it is given cannot make it small.
    for (let at = 0; at < RESERVE_BYTES; at += block.length) writeFileSync(file, randomFillSync(block))
  } catch (error) {
    rmSync(path)
    throw error
  } finally {
    closeSync(file)
  }
}

function isWhole(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && found.size === RESERVE_BYTES && found.blocks * 512 >= RESERVE_BYTES
}

function isFull(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOSPC'
}
