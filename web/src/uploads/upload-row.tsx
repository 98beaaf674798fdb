import { RotateCw, X } from 'lucide'
import { Button } from '../parts/button.tsx'
import { formatBytes, formatPercent } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { reasonText } from './announcing.ts'
import { canRetry, type Item, type Phase } from './items.ts'
import { cancel, retry } from './queue.ts'
import { stopsAll } from './reasons.ts'

const OVER = ['done', 'there', 'skipped']
const RUNNING = ['hashing', 'sending']

interface Props {
  item: Item
  /** What changes of the item: a component is drawn again when its properties change. */
  phase: Phase
  bytes: number
}

/** A file of the queue. */
export function UploadRow({ item, phase, bytes }: Props) {
  const words = t.value.uploads
  const { name, size, reason } = item
  const isRunning = RUNNING.includes(phase)
  const share = size === 0 ? 0 : bytes / size
  // What holds for all files is said once, above.
  const why = reason && phase === 'failed' && !stopsAll(reason) ? reasonText(reason) : words.phases[phase]
  return (
    <li class={phase === 'failed' || phase === 'conflict' ? 'upload-row needs-you' : 'upload-row'}>
      <div class="file">
        <p class="name" title={name}>
          {name}
        </p>
        <p class="small soft">
          {why} {isRunning && share > 0 && formatPercent(share)} · {formatBytes(size)}
        </p>
        {isRunning && <progress value={share} max={1} aria-label={name} />}
      </div>
      {canRetry(item) && (
        <Button kind="quiet" icon={RotateCw} label={words.retryOne(name)} onClick={() => retry([item])} />
      )}
      {!OVER.includes(phase) && (
        <Button kind="quiet" icon={X} label={words.cancelOne(name)} onClick={() => cancel(item)} />
      )}
    </li>
  )
}
