/** Files that another app has shared with this one (Android). The service worker hands them over; they are stored nowhere. */
import { signal } from '@preact/signals'

/** They wait for a user who is signed in and agrees: any page of another site could have sent them. */
export const shared = signal<File[]>([])

/** Asks the worker, which answers once. */
export function askForShared(): void {
  const { serviceWorker } = navigator
  if (!serviceWorker?.controller) return
  serviceWorker.addEventListener('message', ({ data }) => {
    if (Array.isArray(data?.shared)) shared.value = [...shared.value, ...data.shared]
  })
  serviceWorker.controller.postMessage('shared?')
}
