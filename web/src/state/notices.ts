/** Short messages at the lower edge of the page. A screen reader reads them aloud. */
import { signal } from '@preact/signals'

export interface Notice {
  id: number
  text: string
  isError: boolean
  /** For example "Undo". */
  action?: { label: string; run: () => void }
}

export const notices = signal<Notice[]>([])

const SHOWN_MS = 6000
let lastId = 0

export function notify(
  text: string,
  { isError = false, action }: Partial<Pick<Notice, 'isError' | 'action'>> = {},
): void {
  lastId += 1
  const notice = { id: lastId, text, isError, ...(action && { action }) }
  // The same text twice says nothing new.
  notices.value = [...notices.value.filter((shown) => shown.text !== text), notice].slice(-3)
  setTimeout(() => dismiss(notice.id), isError ? 2 * SHOWN_MS : SHOWN_MS)
}

export function forgetNotices(): void {
  notices.value = []
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id)
}
