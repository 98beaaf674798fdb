import type { ChangeNotices } from '../../ports/changes.ts'

/** Notices within this process. */
export function memoryChangeNotices(): ChangeNotices {
  const listeners: ((owner: string) => void)[] = []
  return {
    publish(owner) {
      for (const heard of listeners) heard(owner)
    },
    listen(heard) {
      listeners.push(heard)
    },
  }
}
