/** Who is signed in. The session is a cookie that no script can read, so the server is asked. */
import { type Account, createClient, isVaultError, newDeviceId, VaultError } from '@minikeepsafe/client'
import { computed, effect, signal } from '@preact/signals'
import { t } from '../words/words.ts'
import { connection } from './connection.ts'
import { forgetNotices, notify } from './notices.ts'
import { enteredByLink } from './pairing.ts'
import { timedFetch } from './server-time.ts'

/** `starting` until the server has answered for the first time. */
export const phase = signal<'starting' | 'signed-out' | 'signed-in' | 'unreachable'>('starting')
export const account = signal<Account | null>(null)
export const userId = computed(() => account.value?.userId ?? null)
/** The last session ended without a wish of its user here. Uploads then wait for the same user. */
export const wasLost = signal(false)

/** The cookie is of all tabs. The server refuses a request for the user of this page once another one is signed in. */
export const user = () => userId.peek()
export const client = createClient({ baseUrl: location.origin, fetch: timedFetch, user })

const DEVICE_KEY = 'device-id'

/** The id of this device, a secret. It is made once and kept. A session that a link opened has the id of the link instead. */
export function deviceId(): string {
  const known = localStorage.getItem(DEVICE_KEY)
  if (known) return known
  const made = newDeviceId()
  localStorage.setItem(DEVICE_KEY, made)
  return made
}

/** Each end of a session begins another life: what was requested before does not arrive. */
let life = 0

/** Asks the server who is signed in. `isQuiet`: an error leaves the page as it is. */
export async function begin({ isQuiet = false } = {}): Promise<void> {
  const own = life
  try {
    const known = await client.account.get()
    if (own === life) show(known)
  } catch (error) {
    if (own !== life) return
    if (!isVaultError(error, 'unauthorized')) {
      if (!isQuiet) phase.value = 'unreachable'
    } else if (user() === null) phase.value = 'signed-out'
    else failed(error)
  }
}

/** Another user than before is another session: the page forgets the former one first. */
export function show(known: Account): void {
  if (user() !== null && user() !== known.userId) ended({ isLost: true })
  account.value = known
  phase.value = 'signed-in'
}

/** Tabs tell each other who is signed in now, `null` for nobody. */
const tabs = new BroadcastChannel('session')

export function tellTabs(userId: string | null): void {
  tabs.postMessage({ userId })
}

tabs.onmessage = ({ data: { userId } }: MessageEvent<{ userId: string | null }>) => {
  if (user() !== null && user() !== userId) {
    // A wish of the user, too, if it is a sign-out.
    ended({ isLost: userId !== null })
    notify(t.value.common.signedOut)
  }
  if (userId !== null) void begin({ isQuiet: true })
}

// The browser kept the page as it was, and "back" shows it again. Its user may have signed out since.
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted || user() === null) return
  phase.value = 'starting'
  void begin()
})

let wasGood = true

// The client tries again for a while before it gives up. The page says at once that there is no connection.
effect(() => {
  const isGood = connection.value === 'good'
  const isBack = isGood && !wasGood
  wasGood = isGood
  if (!isGood && phase.peek() === 'starting') phase.value = 'unreachable'
  if (isBack && phase.peek() === 'unreachable') void begin()
})

/** Reads usage and quota again. */
export async function refreshAccount(): Promise<void> {
  const own = life
  await attempt(async () => {
    const known = await client.account.get()
    if (own === life) show(known)
  })
}

/** After `client.signIn`. */
export const signedIn = () => begin()

/** Without retries: the user waits for the answer. */
const leaving = createClient({
  baseUrl: location.origin,
  fetch: timedFetch,
  user,
  retry: { attempts: 0 },
  timeoutMs: 6000,
})

/** If it fails, the session goes on, and the user is told so: the cookie is still there. */
export async function signOut(): Promise<void> {
  try {
    await leaving.sessions.signOut()
  } catch (error) {
    if (isAbort(error)) return
    if (!isVaultError(error, 'unauthorized')) {
      notify(`${t.value.common.stillSignedIn} ${messageOf(error)}`, { isError: true })
      return
    }
    // Over already. The cookie may be of another user, who stays.
    ended()
    return begin({ isQuiet: true })
  }
  left()
}

/** The user has ended the session, in all tabs. */
export function left(): void {
  ended()
  enteredByLink(null)
  tellTabs(null)
}

/** Forgets everything of the vault that the page has shown: a new page has no state of the former user. */
export function ended({ isLost = false } = {}): void {
  life += 1
  wasLost.value = isLost
  account.value = null
  phase.value = 'signed-out'
  forgetNotices()
  location.hash = ''
}

/**
 * Runs a call of the client. An error is shown to the user, and `undefined` returned. When the session is over, for example because
 * another device ended it, the page goes back to the sign-in, or shows the user whom another tab has signed in.
 */
export async function attempt<Result>(call: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await call()
  } catch (error) {
    failed(error)
    return undefined
  }
}

/** Shows an error that a call threw. */
export function failed(error: unknown): void {
  if (isAbort(error)) return
  if (isVaultError(error, 'unauthorized')) {
    const isLost = user() !== null
    ended({ isLost })
    if (isLost) notify(t.value.common.signedOut)
    if (isLost) void begin({ isQuiet: true })
  } else notify(messageOf(error), { isError: true })
}

/** The call was ended by the page, or its user has left. */
const isAbort = (error: unknown) => error instanceof DOMException && error.name === 'AbortError'

/** The error in words for a person. */
export function messageOf(error: unknown): string {
  if (!(error instanceof VaultError)) throw error
  if (error.code === 'network-error' || error.code === 'timeout') return t.value.common.notReachable
  const wait = error.retryAfter === null ? '' : ` ${t.value.common.tryAgainIn(error.retryAfter)}`
  return (t.value.common.problems[error.code] ?? t.value.common.failed(error.detail)) + wait
}
