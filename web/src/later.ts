/** What the page does once it has shown something. */
import { calm } from './state/calm.ts'
import { keepProbing } from './state/connection.ts'
import { client } from './state/session.ts'
import { askForShared } from './uploads/shared.ts'

export async function later(): Promise<void> {
  // At once, because the worker has shared files in its memory only.
  askForShared()
  keepProbing(() => client.account.get())
  await calm
  void register()
  // Also for a user who is signed out: it deletes what is kept of a queue.
  await import('./uploads/queue.ts').catch(() => {})
}

/** There are service workers on secure origins only. */
async function register(): Promise<void> {
  const { serviceWorker } = navigator
  if (!serviceWorker || import.meta.env.DEV) return
  try {
    const registration = await serviceWorker.register('/sw.js')
    // A newer worker that waits checks that this page is as new.
    registration.waiting?.postMessage({ takeOver: new URL(import.meta.url).pathname })
  } catch {
    // The browser allows none, for example in a private window. Everything else works.
  }
}
