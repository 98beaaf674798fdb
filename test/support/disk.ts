/** Disks of a given size, each for one test. Mounting needs root. Without root the test is skipped with a message. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
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

/** A disk that answers reads and hangs on writes from `freeze` to `thaw`. */
export interface FreezableDisk {
  path: string
  freeze(): void
  thaw(): void
}

/** Like `smallDisk`, with a file system of its own in a file. */
export function freezableDisk(skip: TestContext['skip'], sizeMiB = 64): FreezableDisk {
  const folder = mkdtempSync(join(tmpdir(), 'minikeepsafe-frozen-'))
  const [image, path] = [join(folder, 'image'), join(folder, 'disk')]
  mkdirSync(path)
  let frozen = false
  try {
    writeFileSync(image, '')
    truncateSync(image, sizeMiB * 1024 * 1024)
    execFileSync('/usr/sbin/mkfs.ext4', ['-q', image], { stdio: 'pipe' })
    privileged('mount', '-o', 'loop', image, path)
  } catch (cause) {
    rmSync(folder, { recursive: true })
    if (process.env.CI) throw new Error('this test needs to mount a disk, and may not', { cause })
    skip('needs to mount a disk: run it as root')
  }
  const thaw = () => {
    if (frozen) privileged('fsfreeze', '--unfreeze', path)
    frozen = false
  }
  onTestFinished(() => {
    thaw()
    privileged('umount', '-l', path)
    rmSync(folder, { recursive: true })
  })
  return {
    path,
    freeze() {
      privileged('fsfreeze', '--freeze', path)
      frozen = true
    },
    thaw,
  }
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
