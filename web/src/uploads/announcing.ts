/** What a screen reader says about uploads: their start, their end and failures, and not each step. */
import { effect, signal, untracked } from '@preact/signals'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { all, isActive, sums } from './items.ts'
import type { Reason } from './reasons.ts'

export const announcement = signal('')

export const reasonText = (reason: Reason): string =>
  reason.code === 'other' ? t.value.common.failed(reason.detail) : t.value.uploads.reasons[reason.code]

/** "188 uploaded, 12 already there" */
export function resultText(): string {
  const { done, there, skipped } = sums.value
  const { uploaded, wereThere, wereSkipped } = t.value.uploads
  const parts = [done > 0 && uploaded, there > 0 && wereThere, skipped > 0 && wereSkipped]
  const counts = [done, there, skipped]
  return parts.flatMap((words, i) => (words ? words(formatNumber(counts[i] ?? 0)) : [])).join(' · ')
}

let wasActive = false
let failures = 0

effect(() => {
  const [active, { failed, waiting, running }] = [isActive.value, sums.value]
  untracked(() => {
    const words = t.value.uploads
    const last = all('failed').at(-1)
    if (failed > failures && last?.reason) announcement.value = words.announceFailed(last.name, reasonText(last.reason))
    else if (active && !wasActive) announcement.value = words.announceStart(formatNumber(waiting + running))
    else if (!active && wasActive && sums.value.over > 0) announcement.value = resultText()
    failures = failed
    wasActive = active
  })
})
