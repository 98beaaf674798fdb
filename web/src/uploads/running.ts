/** Runs the queue, a few files at a time. */
import { computed, effect, signal, untracked } from '@preact/signals'
import { connection } from '../state/connection.ts'
import { phase, failed as showError } from '../state/session.ts'
import { all, type Item, isKnown, move, moveToFront, next, type OnConflict, sums } from './items.ts'
import { forgetFile } from './kept.ts'
import { type Reason, reasonOf, stopsAll } from './reasons.ts'
import { send } from './send.ts'

const AT_ONCE = 3
/** After so many attempts without a response, while other requests get one, it is the file's fault. */
const MOST_BREAKS = 5

/** The id of the user whose queue it is. */
export const owner = signal<string | null>(null)
export const isPaused = signal(false)
/** Why no file can be stored at the moment: for example, the vault is full. */
export const stop = signal<Reason | null>(null)
/** What to do about names that are taken. `null`: ask. */
export const choice = signal<Exclude<OnConflict, 'fail'> | 'skip' | null>(null)
/** The question about taken names is open. The user may put it off. */
export const isAsking = signal(false)
/** The server has asked for patience. */
const isBusy = signal(false)

const isAllowed = computed(
  () => owner.value !== null && phase.value === 'signed-in' && connection.value !== 'offline' && !isPaused.value,
)
// After a refusal, running uploads go on. There may be room for them, and without its response the outcome of one is not known.
const canBegin = computed(() => isAllowed.value && stop.value === null && connection.value === 'good' && !isBusy.value)

effect(() => {
  if (canBegin.value) untracked(pump)
})
effect(() => {
  if (!isAllowed.value) untracked(interrupt)
})

export function pump(): void {
  while (canBegin.peek() && sums.peek().running < AT_ONCE) {
    const item = next()
    if (!item) return
    void run(item)
  }
}

async function run(item: Item): Promise<void> {
  const { file } = item
  if (!file) return move(item, 'missing')
  const attempt = new AbortController()
  item.attempt = attempt
  move(item, 'sending')
  try {
    finish(item, await send(item, file, attempt.signal))
  } catch (error) {
    if (!attempt.signal.aborted) refused(item, await reasonOf(error, file), error)
    else if (isKnown(item)) moveToFront(item)
  } finally {
    item.attempt = null
    item.wasTried = true
    pump()
  }
}

function finish(item: Item, phase: 'done' | 'there' | 'skipped'): void {
  item.file = null
  move(item, phase)
  void forgetFile(item.id)
}

function refused(item: Item, reason: Reason, error: unknown): void {
  if (!isKnown(item)) return
  const { code } = reason
  if (code === 'unauthorized') {
    moveToFront(item)
    showError(error)
  } else if (code === 'network' && item.breaks < MOST_BREAKS) {
    item.breaks += 1
    moveToFront(item)
  } else if (code === 'busy') {
    moveToFront(item)
    waitFor(reason.seconds)
  } else if (code === 'conflict') {
    // A user who has put the question off is not asked again for each further file.
    const isFirst = sums.peek().conflicts === 0
    move(item, 'conflict', reason)
    if (choice.value !== null) settle(item)
    else if (isFirst) isAsking.value = true
  } else {
    move(item, 'failed', reason)
    if (stopsAll(reason)) stop.value = reason
  }
}

function waitFor(seconds: number): void {
  isBusy.value = true
  setTimeout(() => {
    isBusy.value = false
  }, seconds * 1000)
}

/** Does with a file whose name is taken what the user has chosen. */
export function settle(item: Item): void {
  if (choice.value === 'skip') finish(item, 'skipped')
  else if (choice.value !== null) {
    item.onConflict = choice.value
    move(item, 'waiting')
  }
}

/** Running uploads wait again. What the server has of them stays there. */
export function interrupt(): void {
  for (const { attempt } of all('hashing', 'sending')) attempt?.abort()
}
