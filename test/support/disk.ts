/** Disks of a given size, each for one test. Mounting needs root. Without root the test is skipped with a message. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, type TestContext } from 'vitest'

export interface Disk {
  path: string
  freeBytes(): number
  /** Fills the disk with a foreign file, except for these bytes. */
  fill(leaveBytes?: number): void
  /** Deletes the foreign file. */
  free(): void
  readOnly(): void
  writable(): void
}

/** A new, empty disk. If mounting is not permitted, the test is skipped; in CI it fails. */
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
    // Lazy, so that open files do not prevent the unmount.
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

/** The paths of all files below a folder. */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}

function privileged(...command: string[]) {
  const [name, ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command]
  execFileSync(name as string, args, { stdio: 'pipe' })
}
