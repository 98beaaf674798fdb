/** Who is signed in. The session is a cookie that no script can read, so the server is asked. */
import { type Account, createClient, isVaultError, newDeviceId, VaultError } from '@minikeepsafe/client'
import { effect, signal } from '@preact/signals'
import { t } from '../words/words.ts'
import { connection } from './connection.ts'
import { notify } from './notices.ts'
import { timedFetch } from './server-time.ts'

export const client = createClient({ baseUrl: location.origin, fetch: timedFetch })

/** `starting` until the server has answered for the first time. */
export const phase = signal<'starting' | 'signed-out' | 'signed-in' | 'unreachable'>('starting')
export const account = signal<Account | null>(null)
/** The last session ended without a wish of its user here. Uploads then wait for the same user. */
export const wasLost = signal(false)

const DEVICE_KEY = 'device-id'

/** The id of this device, a secret. It is made once and kept. */
export function deviceId(): string {
  const known = localStorage.getItem(DEVICE_KEY)
  if (known) return known
  const made = newDeviceId()
  localStorage.setItem(DEVICE_KEY, made)
  return made
}

/** Another device has made this id in the picture (QR code) that signs this one in. */
export function keepDeviceId(id: string): void {
  localStorage.setItem(DEVICE_KEY, id)
}

/** Asks the server whether there is a session. */
export async function begin(): Promise<void> {
  try {
    account.value = await client.account.get()
    phase.value = 'signed-in'
  } catch (error) {
    if (isVaultError(error, 'unauthorized')) phase.value = 'signed-out'
    else phase.value = 'unreachable'
  }
}

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
  await attempt(async () => {
    account.value = await client.account.get()
  })
}

/** After `client.signIn`. */
export const signedIn = begin

/** Without a connection the session goes on, and the user is told so: the cookie is still there. */
export async function signOut(): Promise<void> {
  const isDone = await attempt(async () => {
    await client.sessions.signOut()
    return true
  })
  if (isDone) ended()
}

/** Forgets everything of the vault that the page has shown: a new page has no state of the former user. */
export function ended({ isLost = false } = {}): void {
  wasLost.value = isLost
  account.value = null
  phase.value = 'signed-out'
  location.hash = ''
}

/**
 * Runs a call of the client. An error is shown to the user, and `undefined` returned. When the session is over, for example because
 * another device ended it, the page goes back to the sign-in.
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
  if (error instanceof DOMException && error.name === 'AbortError') return
  if (isVaultError(error, 'unauthorized')) {
    if (phase.value === 'signed-in') notify(t.value.common.signedOut)
    ended({ isLost: phase.value === 'signed-in' })
  } else notify(messageOf(error), { isError: true })
}

/** The error in words for a person. */
export function messageOf(error: unknown): string {
  if (!(error instanceof VaultError)) throw error
  if (error.code === 'network-error' || error.code === 'timeout') return t.value.common.notReachable
  const wait = error.retryAfter === null ? '' : ` ${t.value.common.tryAgainIn(error.retryAfter)}`
  return (t.value.common.problems[error.code] ?? t.value.common.failed(error.detail)) + wait
}
