/** The two lines that say how the uploads are. */
import { effect } from '@preact/signals'
import { connection } from '../state/connection.ts'
import { formatBytes, formatDuration, formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { reasonText, resultText } from './announcing.ts'
import { isActive, sums } from './items.ts'
import { openRate } from './rate.ts'
import { isPaused, stop } from './running.ts'

const rate = openRate()

effect(() => {
  if (isActive.value && !isPaused.value && connection.value === 'good') rate.note(sums.value.storedBytes, Date.now())
  else rate.reset()
})

export function headline(): string {
  const words = t.value.uploads
  const { over, files, failed, conflicts, missing } = sums.value
  const counts = [formatNumber(over), formatNumber(files)] as const
  if (stop.value) return words.finishedWithout(formatNumber(files - over))
  if (isActive.value && isPaused.value) return words.pausedAt(...counts)
  if (isActive.value && connection.value !== 'good') return words.waitingForConnection
  if (isActive.value) return words.uploading(...counts)
  if (conflicts > 0) return words.needsYou(formatNumber(conflicts))
  if (failed > 0) return words.finishedWithout(formatNumber(failed))
  if (missing > 0) return words.choosingAgain(formatNumber(missing))
  return words.finished
}

export function detail(): string {
  const words = t.value.uploads
  if (stop.value) return reasonText(stop.value)
  if (!isActive.value) return resultText()
  const { storedBytes, bytes } = sums.value
  const amounts = words.bytes(formatBytes(storedBytes), formatBytes(bytes))
  const ms = isPaused.value ? null : rate.remainingMs(bytes - storedBytes)
  return ms === null ? amounts : `${amounts} · ${words.remaining(formatDuration(roughly(ms)))}`
}

/** A countdown of single seconds would pretend to know. */
const roughly = (ms: number) =>
  Math.max(5000, ms < 60_000 ? Math.ceil(ms / 5000) * 5000 : Math.ceil(ms / 60_000) * 60_000)
