/** Questions about folders, before anything is written into them. */
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'

/** Whether one of the folders is the other or lies in it, whatever links lead there. They need not exist. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [realPath(one), realPath(other)]
  return holds(a, b) || holds(b, a)
}

/** What is in the folder but for these names; nothing where it does not exist. */
export function contentsBut(folder: string, names: string[]): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => !names.includes(name)) : []
}

function holds(outer: string, inner: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith(`..${sep}`)
}

function realPath(path: string): string {
  const whole = resolve(path)
  return existsSync(whole) ? realpathSync(whole) : join(realPath(dirname(whole)), basename(whole))
}
