/** Files that another app has shared with this one (Android). The service worker hands them over; they are stored nowhere. */
import { effect, signal } from '@preact/signals'
import { phase, userId, wasLost } from '../state/session.ts'

/** They wait for a user who is signed in and agrees: any page of another site could have sent them. */
export const shared = signal<File[]>([])

/** The user who was asked. Nobody else is. */
let asked: string | null = null

effect(() => {
  const now = userId.value
  const hasLeft = phase.value === 'signed-out' && !wasLost.value
  if (asked !== null && (hasLeft || (now !== null && now !== asked))) shared.value = []
  if (hasLeft || now !== null) asked = now
})

/** Asks the worker, which answers once. */
export function askForShared(): void {
  const { serviceWorker } = navigator
  if (!serviceWorker?.controller) return
  serviceWorker.addEventListener('message', ({ data }) => {
    if (Array.isArray(data?.shared)) shared.value = [...shared.value, ...data.shared]
  })
  serviceWorker.controller.postMessage('shared?')
}
