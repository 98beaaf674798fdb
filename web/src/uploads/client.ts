/** The client of the uploads. It gives up soon, because the queue itself waits for the connection and shows that it does. */
import { createClient } from '@minikeepsafe/client'
import { observedFetch } from '../state/connection.ts'
import { user } from '../state/session.ts'
import { unfinishedUploads } from './kept.ts'

const unfinished = unfinishedUploads()

export const uploadClient = createClient({
  baseUrl: location.origin,
  fetch: observedFetch,
  user,
  unfinished,
  retry: { attempts: 2, baseMs: 500, maxMs: 5000 },
})

/** Ends an upload of several requests that the user does not want any more: its bytes count against the quota. */
export async function abandon(sha256: string, name: string): Promise<void> {
  const key = `${sha256} ${name}`
  const begun = await unfinished.get(key)
  if (!begun) return
  await unfinished.delete(key)
  await uploadClient.uploads.cancel(begun.id)
}
