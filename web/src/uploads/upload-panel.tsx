import './upload-panel.css'
import { ChevronDown, ChevronUp, Pause, Play, X } from 'lucide'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { isLocked } from '../state/lock.ts'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { add } from './add.ts'
import { announcement } from './announcing.ts'
import { ConflictDialog } from './conflict-dialog.tsx'
import { isActive, shown, sums } from './items.ts'
import { cancelAll, close, pause, resume, retry } from './queue.ts'
import { isAsking, isPaused, stop } from './running.ts'
import { shared } from './shared.ts'
import { SharedDialog } from './shared-dialog.tsx'
import { ofPicker } from './sources.ts'
import { detail, headline } from './status.ts'
import { UploadRow } from './upload-row.tsx'

const MOST_ROWS = 40
const SHOWN_AFTER_MS = 10_000

/** The progress of the uploads, above the lower edge. */
export function Panel() {
  const { files, conflicts } = sums.value
  return (
    <>
      <p class="unseen" role="status">
        {announcement.value}
      </p>
      {files > 0 && <Uploads />}
      {isAsking.value && conflicts > 0 && !isLocked.value && <ConflictDialog />}
      {shared.value.length > 0 && !isLocked.value && <SharedDialog />}
    </>
  )
}

function Uploads() {
  const words = t.value.uploads
  const { bytes, storedBytes, failed, conflicts, missing, files } = sums.value
  const [isOpen, setOpen] = useState(false)
  const isOver = !isActive.value
  const isFine = isOver && failed + conflicts + missing === 0

  // What went well needs no answer.
  useEffect(() => {
    if (!isFine || isOpen) return
    const timer = setTimeout(close, SHOWN_AFTER_MS)
    return () => clearTimeout(timer)
  }, [isFine, isOpen])

  return (
    <section class="uploads" aria-label={words.title}>
      <div class="summary">
        <div class="lines">
          <h2>{headline()}</h2>
          <p class="small soft">{detail()}</p>
        </div>
        {isActive.value &&
          !stop.value &&
          (isPaused.value ? (
            <Button kind="quiet" icon={Play} label={words.resume} onClick={resume} />
          ) : (
            <Button kind="quiet" icon={Pause} label={words.pause} onClick={pause} />
          ))}
        <Button
          kind="quiet"
          icon={isOpen ? ChevronDown : ChevronUp}
          label={isOpen ? words.hideList : words.showList}
          expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        />
        {isOver && <Button kind="quiet" icon={X} label={t.value.common.close} onClick={close} />}
      </div>
      {!isOver && !stop.value && (
        <progress value={bytes === 0 ? 0 : storedBytes / bytes} max={1} aria-label={words.title} />
      )}
      <Answers />
      {isOpen && (
        <div class="list">
          <ul>
            {shown(MOST_ROWS).map((item) => (
              <UploadRow key={item.id} item={item} phase={item.phase} bytes={item.bytes} />
            ))}
          </ul>
          {files > MOST_ROWS && <p class="small soft">{words.more(formatNumber(files - MOST_ROWS))}</p>}
          {!isOver && (
            <Button kind="quiet" onClick={cancelAll}>
              {words.cancelAll}
            </Button>
          )}
        </div>
      )}
    </section>
  )
}

/** What only the user can do. */
function Answers() {
  const words = t.value.uploads
  const { retryable, conflicts, missing } = sums.value
  const picker = useRef<HTMLInputElement>(null)
  if (retryable + conflicts + missing === 0) return null
  return (
    <div class="answers">
      {missing > 0 && <p class="small soft">{words.chooseAgainWhy}</p>}
      {missing > 0 && <Button onClick={() => picker.current?.click()}>{words.chooseAgain}</Button>}
      {retryable > 0 && <Button onClick={() => retry()}>{words.retryAll}</Button>}
      {conflicts > 0 && (
        <Button
          onClick={() => {
            isAsking.value = true
          }}
        >
          {words.decide}
        </Button>
      )}
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label={words.chooseAgain}
        onChange={({ currentTarget }) => void add(ofPicker(currentTarget))}
      />
    </div>
  )
}
