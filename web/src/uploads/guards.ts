/** While uploads run, the page asks before it is closed, and the screen of a phone stays on: a dark phone stops its pages. */
import { computed, effect } from '@preact/signals'
import { isActive } from './items.ts'
import { isPaused, stop } from './running.ts'

const ask = (event: BeforeUnloadEvent) => event.preventDefault()

effect(() => {
  if (isActive.value) addEventListener('beforeunload', ask)
  else removeEventListener('beforeunload', ask)
})

let lock: WakeLockSentinel | null = null
const isWorking = computed(() => isActive.value && !isPaused.value && stop.value === null)

async function stayAwake(): Promise<void> {
  if (!isWorking.value || document.hidden || (lock && !lock.released)) return
  // Refused to save the battery, for example.
  lock = (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null
  if (!isWorking.value) void lock?.release()
}

effect(() => {
  if (isWorking.value) void stayAwake()
  else void lock?.release()
})
// The browser takes the lock from a page that is hidden.
document.addEventListener('visibilitychange', () => void stayAwake())
