/** Whose queue it is: it comes back after a reload, waits for a user whose session was lost, and nobody else gets it. */
import { batch, computed, effect, untracked } from '@preact/signals'
import { account, phase, wasLost } from '../state/session.ts'
import { announcement } from './announcing.ts'
import { all, clear, type Item, isKnown, newItem, put } from './items.ts'
import * as kept from './kept.ts'
import { alone, closedPages, pageId } from './pages.ts'
import { choice, isAsking, isPaused, owner, pump, stop } from './running.ts'

/** In the background: a reload before its end loses the files that were not reached. */
export async function keep(items: Item[]): Promise<void> {
  const userId = owner.value
  if (userId === null) return
  const now = Date.now()
  const known = new Map(items.map((item) => [item.id, item]))
  const files = items.map(({ id, name, size, type, lastModified, file }, i) => {
    return { id, at: now + i / 1e6, userId, pageId, name, size, type, lastModified, file }
  })
  await kept.keepFiles(files, (id) => {
    const item = known.get(id)
    return item !== undefined && owner.value === userId && isKnown(item) && item.file !== null
  })
}

export function keepChoice(): void {
  if (owner.value === null) return
  void kept.keepChoice({ userId: owner.value, onConflict: choice.value, isPaused: isPaused.value })
}

let turn: Promise<void> = Promise.resolve()

/** Takes over what this user has left in pages that are closed. If there is anything of another user, all is deleted. */
function open(userId: string): void {
  turn = turn.then(async () => {
    const files = await alone(() => taken(userId))
    const known = await kept.keptChoice(userId)
    if (owner.value !== userId || files.length === 0) return
    batch(() => {
      choice.value ??= known?.onConflict ?? null
      isPaused.value ||= known?.isPaused ?? false
      for (const entry of files) {
        // An attempt of the closed page may have stored it.
        put({ ...newItem(entry), wasTried: true, phase: entry.file ? 'waiting' : 'missing' })
      }
    })
    pump()
  })
}

async function taken(userId: string): Promise<kept.KeptFile[]> {
  const entries = await kept.keptFiles()
  const own = entries.filter((entry) => entry.userId === userId)
  // The store of unfinished uploads has the names of files, but not of users. So it is emptied whole.
  if (own.length < entries.length) await kept.forgetAll()
  const closed = await closedPages(
    own.map((entry) => entry.pageId),
    openAgain,
  )
  const left = own.filter((entry) => closed.has(entry.pageId))
  await kept.adopt(left, pageId)
  return left
}

function forget(): void {
  const items = all()
  batch(() => {
    clear()
    choice.value = null
    stop.value = null
    isAsking.value = false
    isPaused.value = false
    announcement.value = ''
  })
  for (const { attempt } of items) attempt?.abort()
}

const user = computed(() => (phase.value === 'signed-in' ? (account.value?.userId ?? null) : null))
const isLeft = computed(() => phase.value === 'signed-out' && !wasLost.value)

effect(() => {
  const [now, left] = [user.value, isLeft.value]
  untracked(() => {
    if (left) {
      owner.value = null
      forget()
      void kept.forgetAll()
    } else if (now !== null) {
      if (owner.value !== null && owner.value !== now) forget()
      owner.value = now
      open(now)
    }
  })
})

function openAgain(): void {
  if (user.value !== null) open(user.value)
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) openAgain()
})
