/** Disks of a given size, for one test each. Mounting needs root; where it is not to be had the test says so. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, type TestContext } from 'vitest'

export interface Disk {
  path: string
  freeBytes(): number
  /** Somebody else's file takes all the room but this much. */
  fill(leaveBytes?: number): void
  /** That file goes away. */
  free(): void
  readOnly(): void
  writable(): void
}

/** A new and empty disk. Where mounting is not permitted the test is skipped, and fails where CI runs it. */
export function smallDisk(skip: TestContext['skip'], sizeMiB = 48): Disk {
  const path = mkdtempSync(join(tmpdir(), 'minikeepsafe-disk-'))
  try {
    privileged('mount', '-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=0700,uid=${process.getuid?.()}`, 'tmpfs', path)
  } catch (cause) {
    rmdirSync(path)
    if (process.env.CI) throw new Error('this test needs to mount a small disk, and may not', { cause })
    skip('needs to mount a small disk: run it as root')
  }
  onTestFinished(() => {
    // Lazily: whoever still holds a file there does not keep it.
    privileged('umount', '-l', path)
    rmdirSync(path)
  })
  const foreign = join(path, 'foreign')
  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  }
  return {
    path,
    freeBytes,
    fill(leaveBytes = 0) {
      const file = openSync(foreign, 'a')
      try {
        writeFileSync(file, Buffer.alloc(freeBytes() - leaveBytes))
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(foreign),
    readOnly: () => privileged('mount', '-o', 'remount,ro', path),
    writable: () => privileged('mount', '-o', 'remount,rw', path),
  }
}

/** Everything below a folder that is a file, by its path there. */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}

function privileged(...command: string[]) {
  const [name, ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command]
  execFileSync(name as string, args, { stdio: 'pipe' })
}
