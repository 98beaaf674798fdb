/** The gallery's state: begins to load, follows what changes, and forgets all at sign-out. */
import { createClient, isVaultError, type ListPage } from '@minikeepsafe/client'
import { batch, effect, signal } from '@preact/signals'
import { byDate, byName, filter, prefix, type ShownKind, shownKind } from '../gallery/lists.ts'
import { forgetReading, readAgain, readNext, stopReading, want } from '../gallery/reading.ts'
import {
  fill,
  type Month,
  outdated,
  recount,
  refiltered,
  section,
  sectionsOf,
  sectionsOfPage,
} from '../gallery/sections.ts'
import { onFileEvent } from './files.ts'
import { timedFetch } from './server-time.ts'
import { client, failed, phase, show as showAccount, user } from './session.ts'

/** `loading` until anything can be shown. */
export const state = signal<'loading' | 'ready' | 'failed'>('loading')

const SEARCH_PAGE = 100
const RECOUNT_MS = 60_000
/** Usage and quota are read again so long after a file was stored or removed. */
const USAGE_MS = 2000
const QUIET_MS = 2000
/** On a device that has shown the gallery: the id of its user. */
const HINT_KEY = 'gallery-of'

async function readMonths(from = client): Promise<Month[]> {
  const all: Month[] = []
  for await (const month of from.timeline()) all.push(month)
  return all
}

/** The first files, enough for a screen, and the months: requested together. */
function requestStart(from = client) {
  const limit = Math.min(300, Math.ceil(innerWidth / 120) * (Math.ceil(innerHeight / 120) + 2))
  const start = { page: from.page({ sort: 'takenAt', order: 'desc', limit }), months: readMonths(from) }
  // `start` sees the errors.
  start.page.catch(() => {})
  start.months.catch(() => {})
  return start
}

// On a device that has shown the gallery, it is requested while the page still asks who is signed in. If that is another user by
// now, the request is refused, and what came before is not used.
const supposed = localStorage.getItem(HINT_KEY)
let early =
  supposed === null
    ? null
    : requestStart(createClient({ baseUrl: location.origin, fetch: timedFetch, user: () => supposed }))
let isStarted = false
/** Each sign-out begins another life: what was requested before does not arrive. */
let life = 0
let countedAt = 0

/** Begins to load, unless it has begun. */
export async function start(): Promise<void> {
  if (isStarted) return
  isStarted = true
  const own = life
  const { page, months } = (user() === supposed && early) || requestStart()
  early = null
  state.value = 'loading'
  try {
    const first = await page
    if (own !== life) return
    byDate.sections.value = sectionsOfPage(first, byDate.order, filter())
    if (first.files.length > 0) state.value = 'ready'
    const counted = await months
    if (own !== life) return
    place(first, counted)
    localStorage.setItem(HINT_KEY, user() ?? '')
    state.value = 'ready'
  } catch (error) {
    if (own !== life) return
    isStarted = false
    state.value = 'failed'
    failed(error)
  }
}

function place(first: ListPage, months: Month[]): void {
  const known = sectionsOf(months)
  const newest = known[0]
  byDate.sections.value = newest ? fill(known, newest.key, first, byDate.order, filter()) : []
  countedAt = Date.now()
}

export function retry(): void {
  if (state.value === 'failed') void start()
  readAgain()
}
addEventListener('online', retry)

export function show(kind: ShownKind): void {
  if (kind === shownKind.peek()) return
  const isNarrower = shownKind.peek() === 'all'
  shownKind.value = kind
  stopReading()
  for (const { sections, order } of [byDate, byName]) {
    sections.value = refiltered(sections.peek(), order, filter(), isNarrower)
  }
  readNext()
}

/** Shows the files whose names begin so, by name. Empty for all files again. */
export function search(text: string): void {
  if (text === prefix.peek()) return
  stopReading()
  const all = section({ key: `search ${text}`, month: '', count: SEARCH_PAGE, cursor: null })
  // At once: what is read for the sections has this prefix.
  batch(() => {
    byName.sections.value = text === '' ? [] : [all]
    prefix.value = text
  })
  readAgain()
  if (text !== '') want([all.key])
}

let recounting: ReturnType<typeof setTimeout> | undefined

onFileEvent(() => {
  clearTimeout(recounting)
  recounting = setTimeout(() => void count(), QUIET_MS)
})

let willReadUsage = false

onFileEvent(() => {
  // Also while many files come one after the other: then there is no quiet moment for a count.
  if (willReadUsage) return
  willReadUsage = true
  setTimeout(() => {
    willReadUsage = false
    void readUsage()
  }, USAGE_MS)
})

/** Silent like a count. */
async function readUsage(): Promise<void> {
  const own = life
  if (phase.peek() !== 'signed-in') return
  const known = await client.account.get().catch(() => null)
  if (known && own === life) showAccount(known)
}

/** Counts the months again, and reads usage and quota. Silent without a connection: it comes again. */
async function count(): Promise<void> {
  const own = life
  if (phase.peek() !== 'signed-in') return
  try {
    const [months, known] = await Promise.all([readMonths(), client.account.get()])
    if (own !== life || state.peek() !== 'ready') return
    showAccount(known)
    if (own !== life) return
    byDate.sections.value = recount(byDate.sections.peek(), months)
    countedAt = Date.now()
    readNext()
  } catch (error) {
    // Another user may be signed in by now. After any other error, the next one may succeed.
    if (own === life && isVaultError(error, 'unauthorized')) failed(error)
  }
}

/**
 * Follows what other devices do while the gallery is on the screen. The changes feed begins with every file of the vault, which is
 * too much for a page. So the months are counted once a minute, and those with another number of files are read again.
 */
export function follow(): () => void {
  const isDue = () => document.visibilityState === 'visible' && Date.now() - countedAt >= RECOUNT_MS - 1000
  const look = () => {
    if (isDue()) void count()
  }
  const back = () => {
    if (!isDue()) return
    // A rename or a new version does not change the number.
    byDate.sections.value = outdated(byDate.sections.peek())
    void count()
  }
  const timer = setInterval(look, RECOUNT_MS)
  document.addEventListener('visibilitychange', back)
  return () => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', back)
  }
}

effect(() => {
  if (phase.value !== 'signed-out') return
  life += 1
  early = null
  isStarted = false
  localStorage.removeItem(HINT_KEY)
  forgetReading()
  for (const { sections } of [byDate, byName]) sections.value = []
  prefix.value = ''
  shownKind.value = 'all'
  state.value = 'loading'
})
