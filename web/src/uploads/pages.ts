/** The pages (tabs) of this vault in one browser: each uploads its own files, and takes over those of a page that is closed. */

const lockOf = (pageId: string) => `uploads of ${pageId}`
const PATIENCE_MS = 300

export const pageId: string = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16)).join('')

/** Web locks exist on secure origins only. Elsewhere the pages ask each other. */
const channel = navigator.locks ? null : new BroadcastChannel('uploads')

if (navigator.locks) {
  // Held until the page is closed, however that happens.
  void navigator.locks.request(lockOf(pageId), () => new Promise(() => {}))
}
channel?.addEventListener('message', ({ data }) => {
  if (data === `? ${pageId}`) channel.postMessage(`! ${pageId}`)
})

/** Two pages never run `act` at once, where there are locks. */
export async function alone<Result>(act: () => Promise<Result>): Promise<Result> {
  return navigator.locks ? navigator.locks.request('uploads', act) : act()
}

/** Those of the pages that are closed. `later` is called when one of the others is closed, where there are locks. */
export async function closedPages(pages: string[], later: () => void): Promise<Set<string>> {
  const others = new Set([...pages].filter((page) => page !== pageId))
  if (others.size === 0) return others
  const open = navigator.locks ? await holders() : await answering(others)
  for (const page of others) if (open.has(page)) void awaitClosing(page, later)
  return new Set([...others].filter((page) => !open.has(page)))
}

const awaited = new Set<string>()

/** A page may keep its lock for a moment after it was closed, when the user sees another one already. */
async function awaitClosing(page: string, later: () => void): Promise<void> {
  if (!navigator.locks || awaited.has(page)) return
  awaited.add(page)
  await navigator.locks.request(lockOf(page), () => {})
  awaited.delete(page)
  later()
}

async function holders(): Promise<Set<string>> {
  const { held = [] } = await navigator.locks.query()
  return new Set(held.map(({ name = '' }) => name.replace(lockOf(''), '')))
}

/** A page that the browser has stopped does not answer. Then two pages upload the same file, and it is stored once. */
async function answering(pages: Set<string>): Promise<Set<string>> {
  const open = new Set<string>()
  const listen = ({ data }: MessageEvent) => void (/^! /.test(data) && open.add(data.slice(2)))
  channel?.addEventListener('message', listen)
  for (const page of pages) channel?.postMessage(`? ${page}`)
  await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))
  channel?.removeEventListener('message', listen)
  return open
}
