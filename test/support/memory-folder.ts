/**
 * Keeps the temporary folders of tests in memory, where there is room for them: half of a test's time went by in syncs of the
 * disk. `TMPDIR` names another place. Tests that need a real disk or a full one have their own.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'

const MEMORY = '/dev/shm'
const ROOM_BYTES = 4 * 1024 ** 3

export function setup(): (() => void) | undefined {
  if (process.env.TMPDIR || freeBytes() < ROOM_BYTES) return
  const folder = mkdtempSync(join(MEMORY, 'minikeepsafe-tests-'))
  process.env.TMPDIR = folder
  return () => rmSync(folder, { recursive: true, force: true })
}

function freeBytes(): number {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize
  } catch {
    // Only Linux has it.
    return 0
  }
}
