/**
 * Keeps the temporary folders of tests in memory, where there is room for them: half of a test's time went by in syncs of the
 * disk. `TMPDIR` names another place. Tests that need a full disk mount one.
 */
import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { runFolder } from './run-folder.ts'

const MEMORY = '/dev/shm'
const ROOM_BYTES = 4 * 1024 ** 3

export const setup = () => runFolder(!process.env.TMPDIR && freeBytes() >= ROOM_BYTES ? MEMORY : tmpdir())

function freeBytes(): number {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize
  } catch {
    // Only Linux has it.
    return 0
  }
}
