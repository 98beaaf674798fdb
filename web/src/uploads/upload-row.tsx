import { RotateCw, X } from 'lucide'
import { Button } from '../parts/button.tsx'
import { formatBytes, formatPercent } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { reasonText } from './announcing.ts'
import type { Item } from './items.ts'
import { cancel, retry } from './queue.ts'

const OVER = ['done', 'there', 'skipped']
const RUNNING = ['hashing', 'sending']

/** A file of the queue. */
export function UploadRow({ item, bytes }: { item: Item; bytes: number }) {
  const words = t.value.uploads
  const { name, size, phase, reason } = item
  const isRunning = RUNNING.includes(phase)
  const share = size === 0 ? 0 : bytes / size
  const why = reason && phase === 'failed' ? reasonText(reason) : words.phases[phase]
  return (
    <li class={`upload-row ${phase}`}>
      <div>
        <p class="name" title={name}>
          {name}
        </p>
        <p class="small soft">
          {why} {isRunning && share > 0 && formatPercent(share)} · {formatBytes(size)}
        </p>
        {isRunning && <progress value={share} max={1} aria-label={name} />}
      </div>
      {phase === 'failed' && reason?.code !== 'changed' && (
        <Button kind="quiet" icon={RotateCw} label={words.retryOne(name)} onClick={() => retry([item])} />
      )}
      {!OVER.includes(phase) && (
        <Button kind="quiet" icon={X} label={words.cancelOne(name)} onClick={() => cancel(item)} />
      )}
    </li>
  )
}
