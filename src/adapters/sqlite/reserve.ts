/**
 * The reserve: disk space for the time when the disk is full. A delete needs space in the database's log before it frees
 * any. A file in the data folder occupies that space, and is deleted when the space is needed.
 */
import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { diskFault } from './faults.ts'

export const RESERVE_BYTES = 8 * 1024 * 1024
const TRY_AGAIN_MS = 1000

export interface Reserve {
  /**
   * Runs `work`, which writes to the database. If the disk is full, releases the reserve and runs `work` once more, so
   * `work` must undo its changes if it throws. Errors of the disk have the codes that `ports.ts` promises.
   */
  rescue<T>(work: () => T): T
  /**
   * Resolves while the reserve exists. Otherwise tries to allocate it, at most once a second. Throws if that fails, with
   * the code `ENOSPC` if there is no room.
   */
  take(): Promise<void>
}

/** Calls `log` when the reserve is released, and when it is allocated again. */
export function diskReserve(folder: string, log: (message: string) => void): Reserve {
  const path = join(folder, 'reserve')
  let held = isWhole(path)
  let lastError: unknown = null
  let triedAt = Number.NEGATIVE_INFINITY

  return {
    rescue(work) {
      let full: unknown
      try {
        return work()
      } catch (error) {
        full = diskFault(error, folder)
        if (!held || !isFull(full)) throw full
      }
      try {
        release(full)
        return work()
      } catch (error) {
        throw diskFault(error, folder)
      }
    },

    async take() {
      if (held) return
      if (performance.now() - triedAt < TRY_AGAIN_MS) throw lastError
      try {
        fill(path)
      } catch (error) {
        missed(diskFault(error, folder))
        throw lastError
      }
      held = true
      if (lastError) log(`there is room in ${folder} again: uploads are taken`)
      lastError = null
    },
  }

  function release(full: unknown) {
    rmSync(path, { force: true })
    held = false
    missed(full)
    log(`the disk of ${folder} is full: its reserve is given up, and no upload is taken until there is room`)
  }

  function missed(why: unknown) {
    lastError = why
    triedAt = performance.now()
  }
}

/** Allocates the reserve in a few milliseconds. It is synchronous, so that no commit runs in between. */
function fill(path: string) {
  rmSync(path, { force: true })
  const file = openSync(path, 'wx', 0o600)
  try {
    const block = Buffer.alloc(1024 * 1024)
    // Random bytes, because a disk that compresses would store others in less space.
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
