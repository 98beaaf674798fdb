/** The clients that wait for a notice about their user, all in this process. */
import type { ChangeNotices } from '../../ports/changes.ts'

export interface Notice {
  /** Resolves at the next notice about the owner, or when nothing is to be waited for any more. */
  heard: Promise<void>
  /** True if nothing is to be waited for any more: the client has left, or the vault closes. */
  isLast(): boolean
  end(): void
}

export function openWaiters(changeNotices: Pick<ChangeNotices, 'listen'>) {
  const waiting = new Map<string, Set<() => void>>()
  let isClosing = false
  changeNotices.listen((owner) => {
    for (const key of owner === null ? [...waiting.keys()] : [owner]) wake(key)
  })

  return {
    noticeFor(owner: string, left: AbortSignal): Notice {
      let hear = () => {}
      const heard = new Promise<void>((resolve) => {
        hear = resolve
      })
      const waiters = waiting.get(owner) ?? new Set()
      waiting.set(owner, waiters.add(hear))
      left.addEventListener('abort', hear, { once: true })
      return {
        heard,
        isLast: () => left.aborted || isClosing,
        end() {
          left.removeEventListener('abort', hear)
          waiters.delete(hear)
          if (waiters.size === 0 && waiting.get(owner) === waiters) waiting.delete(owner)
        },
      }
    },

    /** Ends all waits. */
    stop() {
      isClosing = true
      for (const owner of [...waiting.keys()]) wake(owner)
    },
  }

  function wake(owner: string): void {
    for (const hear of waiting.get(owner) ?? []) hear()
  }
}
