/** What a user does with uploads. It is loaded when it is needed, or when the page has nothing else to do. */
import { vaultName } from '@minikeepsafe/client'
import { batch } from '@preact/signals'
import { abandon } from './client.ts'
import './guards.ts'
import { all, canRetry, clear, drop, dropOver, type Item, isActive, move, newItem, put, sums } from './items.ts'
import { keep, keepChoice } from './keeping.ts'
import { forgetFile } from './kept.ts'
import { distinctName } from './names.ts'
import { pageId } from './pages.ts'
import { choice, isAsking, isPaused, pump, settle, stop } from './running.ts'
import type { Chosen } from './sources.ts'

let lastId = 0

/** Begins to upload files, in the background. Files that were missing after a reload go on. */
export function addFiles(files: readonly (File | Chosen)[]): void {
  batch(() => {
    if (!isActive.value && sums.value.conflicts === 0) {
      choice.value = null
      dropOver()
    }
    stop.value = null
    void keep(itemsOf(files))
  })
  keepChoice()
  pump()
}

function itemsOf(files: readonly (File | Chosen)[]): Item[] {
  const key = ({ name, size }: { name: string; size: number }) => `${size} ${name}`
  const missing = new Map(all('missing').map((item) => [key(item), item]))
  const known = new Set(all('waiting', 'hashing', 'sending', 'conflict').map(key))
  return files.flatMap((given) => {
    const { file, path } = given instanceof File ? { file: given, path: given.name } : given
    const name = vaultName(distinctName(path, file.lastModified))
    const same = key({ name, size: file.size })
    if (known.has(same)) return []
    known.add(same)
    const item = missing.get(same)
    if (item) {
      item.file = file
      move(item, 'waiting')
      return item
    }
    lastId += 1
    const { size, type, lastModified } = file
    const added = newItem({ id: `${pageId} ${lastId}`, name, size, type, lastModified, file })
    put(added)
    return added
  })
}

/** Says what to do about all names that are taken: those that are known, and those to come. */
export function decide(onConflict: 'rename' | 'replace' | 'skip'): void {
  batch(() => {
    choice.value = onConflict
    isAsking.value = false
    for (const item of all('conflict')) settle(item)
  })
  keepChoice()
  pump()
}

export function pause(): void {
  isPaused.value = true
  keepChoice()
}

export function resume(): void {
  isPaused.value = false
  keepChoice()
}

export function cancel(item: Item): void {
  drop(item)
  item.attempt?.abort()
  void forgetFile(item.id)
  if (item.sha256) abandon(item.sha256, item.name).catch(() => {})
  if (all().length === 0) close()
}

export function cancelAll(): void {
  batch(() => {
    for (const item of all('conflict', 'failed', 'missing', 'sending', 'hashing', 'waiting')) cancel(item)
  })
  close()
}

/** One file, or all for which it makes sense. */
export function retry(items: Item[] = all('failed').filter(canRetry)): void {
  batch(() => {
    stop.value = null
    for (const item of items) {
      item.breaks = 0
      move(item, item.file ? 'waiting' : 'missing')
    }
  })
  pump()
}

/** Forgets what is over, so that the panel goes. */
export function close(): void {
  batch(() => {
    for (const { id } of all('failed', 'missing', 'conflict')) void forgetFile(id)
    clear()
    choice.value = null
    stop.value = null
    isAsking.value = false
    isPaused.value = false
  })
  keepChoice()
}
