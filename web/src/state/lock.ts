/** Hides the page after some minutes in the background, until a tap. It keeps others from looking, and is no password. */
import { effect, signal } from '@preact/signals'
import { phase } from './session.ts'

/** The minutes that can be chosen. 0: never. */
export const LOCK_CHOICES = [0, 1, 5, 15] as const
export type LockMinutes = (typeof LOCK_CHOICES)[number]

const SETTING_KEY = 'lock-minutes'
/** A phone throws a page away that is hidden, and loads it again. */
const HIDDEN_KEY = 'hidden-since'
const MINUTE_MS = 60_000

export const lockMinutes = signal<LockMinutes>(chosen())
export const isLocked = signal(false)

function chosen(): LockMinutes {
  const text = localStorage.getItem(SETTING_KEY)
  return LOCK_CHOICES.find((minutes) => String(minutes) === text) ?? 5
}

export function chooseLockMinutes(minutes: LockMinutes): void {
  lockMinutes.value = minutes
  localStorage.setItem(SETTING_KEY, String(minutes))
}

export function unlock(): void {
  isLocked.value = false
}

let timer: ReturnType<typeof setTimeout> | undefined

function hidden(): void {
  const ms = lockMinutes.value * MINUTE_MS
  if (ms === 0) return
  sessionStorage.setItem(HIDDEN_KEY, String(Date.now()))
  // Before the page is seen again. A browser may stop the timer of a hidden page, so `seen` looks at the clock, too.
  timer = setTimeout(lock, ms)
}

function seen(): void {
  clearTimeout(timer)
  const since = sessionStorage.getItem(HIDDEN_KEY)
  sessionStorage.removeItem(HIDDEN_KEY)
  const ms = lockMinutes.value * MINUTE_MS
  if (since !== null && ms > 0 && Date.now() - Number(since) >= ms) lock()
}

function lock(): void {
  if (phase.value === 'signed-in' || phase.value === 'starting') isLocked.value = true
}

document.addEventListener('visibilitychange', () => (document.hidden ? hidden() : seen()))
if (!document.hidden) seen()

effect(() => {
  if (phase.value === 'signed-out') isLocked.value = false
})
