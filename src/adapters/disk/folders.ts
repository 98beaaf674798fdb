/** Creates, syncs and checks folders. */
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

/** Whether one folder is the same as the other or inside it. Follows links. The folders need not exist. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [realPath(one), realPath(other)]
  return holds(a, b) || holds(b, a)
}

/** The entries of the folder except these names. Empty if the folder does not exist. */
export function contentsBut(folder: string, names: string[]): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => !names.includes(name)) : []
}

/** The path of a symbolic link that is directly in the folder. `null` if there is none, or if the folder does not exist. */
export function linkIn(folder: string): string | null {
  const entries = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []
  const link = entries.find((entry) => entry.isSymbolicLink())
  return link ? join(folder, link.name) : null
}

/**
 * Creates a folder that only this system user can open, and whose entry survives a power cut. Each level is created separately:
 * Node's recursive mkdir never returns in a place where no folder can be created, such as /proc.
 */
export async function makeFolder(folder: string): Promise<void> {
  if (await isFolder(folder)) return
  const parent = dirname(resolve(folder))
  await makeFolder(parent)
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    // Another process may have created it meanwhile.
    if (!(await isFolder(folder))) throw error
  }
  await syncFolder(parent)
}

export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function holds(outer: string, inner: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith(`..${sep}`)
}

function realPath(path: string): string {
  const whole = resolve(path)
  return existsSync(whole) ? realpathSync(whole) : join(realPath(dirname(whole)), basename(whole))
}
