/**
 * The service worker. It keeps the page's own files, so that the page opens without a connection and says so. It never keeps, and
 * never even handles, a request to the vault: what it does not know goes to the network as if there were no worker. It imports
 * nothing, because it is a classic script.
 */

/** The build puts them in: see `shell.ts` beside the configuration of Vite. */
declare const __SHELL__: { version: string; page: string; assets: string[]; others: string[] }

interface LaterEvent extends Event {
  waitUntil(work: Promise<unknown>): void
}
interface RequestEvent extends LaterEvent {
  request: Request
  preloadResponse: Promise<Response | undefined>
  respondWith(response: Promise<Response>): void
}
interface WorkerScope {
  addEventListener(type: 'install' | 'activate', listen: (event: LaterEvent) => void): void
  addEventListener(type: 'fetch', listen: (event: RequestEvent) => void): void
  addEventListener(type: 'message', listen: (event: LaterEvent & MessageEvent) => void): void
  clients: { claim(): Promise<void>; matchAll(options: { includeUncontrolled: boolean }): Promise<unknown[]> }
  registration: { navigationPreload?: { enable(): Promise<void> } }
  skipWaiting(): Promise<void>
}
const worker = self as unknown as WorkerScope

const { version, page, assets, others } = __SHELL__
const CACHE = `shell ${version}`
const KNOWN = new Set([page, ...assets, ...others])
/** A network that needs longer for the page is as good as none. */
const PATIENCE_MS = 4000
const SHARED_MS = 60_000

worker.addEventListener('install', (event) => event.waitUntil(install()))

async function install(): Promise<void> {
  const cache = await caches.open(CACHE)
  // Assets never change under their names; the browser may have them already.
  await cache.addAll([...assets, ...others.map((path) => new Request(path, { cache: 'no-cache' }))])
  const response = await fetch(page, { cache: 'no-cache' })
  const text = await response.clone().text()
  // Of several servers, one may be newer or older.
  const isSame = response.ok && assets.some((path) => path.endsWith('.js') && text.includes(`"${path}"`))
  if (!isSame) throw new Error('the page is of another version')
  await cache.put(page, response)
}

worker.addEventListener('activate', (event) => event.waitUntil(activate()))

async function activate(): Promise<void> {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name)
  await worker.registration.navigationPreload?.enable()
  await worker.clients.claim()
}

worker.addEventListener('fetch', (event) => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (origin !== location.origin) return
  if (request.method === 'POST' && pathname === '/share') event.respondWith(receive(event))
  else if (request.method !== 'GET' || !KNOWN.has(pathname)) return
  else if (pathname === page) event.respondWith(newestPage(event))
  else event.respondWith(kept(request))
})

/** From the network, so that a new version is seen at once. From the cache if that fails or takes long. */
async function newestPage(event: RequestEvent): Promise<Response> {
  const fromNetwork = (async () => (await event.preloadResponse) ?? fetch(event.request))()
  const late = new Promise<null>((resolve) => setTimeout(resolve, PATIENCE_MS, null))
  const response = await Promise.race([fromNetwork.catch(() => null), late])
  if (response && response.status < 500) return response
  return (await cached(page)) ?? fromNetwork
}

const kept = async (request: Request) => (await cached(new URL(request.url).pathname)) ?? fetch(request)

const cached = async (path: string) => (await caches.open(CACHE)).match(path)

/** Files of another app that wait for the page: in memory, for a minute. */
let shared: File[] = []

async function receive(event: RequestEvent): Promise<Response> {
  const form = await event.request.formData()
  shared = [...shared, ...form.getAll('files').filter((part): part is File => part instanceof File && part.name !== '')]
  // The browser may stop a worker that has nothing to do.
  event.waitUntil(new Promise((resolve) => setTimeout(resolve, SHARED_MS)))
  setTimeout(() => {
    shared = []
  }, SHARED_MS)
  return Response.redirect('/#/photos', 303)
}

worker.addEventListener('message', (event) => {
  if (event.data === 'shared?' && shared.length > 0) {
    event.source?.postMessage({ shared })
    shared = []
  }
  if (assets.includes(event.data?.takeOver)) event.waitUntil(takeOver())
})

/** The page that asks is of this version. Other pages may be of the former one, and still need its files. */
async function takeOver(): Promise<void> {
  const pages = await worker.clients.matchAll({ includeUncontrolled: true })
  if (pages.length <= 1) await worker.skipWaiting()
}

export {}
