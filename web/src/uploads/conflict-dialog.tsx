import './conflict-dialog.css'
import { Dialog } from '../parts/dialog.tsx'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { all, sums } from './items.ts'
import { decide } from './queue.ts'
import { isAsking } from './running.ts'

const NAMES_SHOWN = 4

/** Asks once what to do about names that are taken. Closed without an answer, the files wait. */
export function ConflictDialog() {
  const words = t.value.uploads
  const { conflicts } = sums.value
  const items = all('conflict')
  const rest = conflicts - NAMES_SHOWN
  const choices = [
    { answer: 'rename', label: words.keepBoth, why: words.keepBothWhy },
    { answer: 'replace', label: words.replace, why: words.replaceWhy },
    { answer: 'skip', label: words.skip, why: words.skipWhy },
  ] as const
  return (
    <Dialog
      title={words.conflictTitle}
      onClose={() => {
        isAsking.value = false
      }}
    >
      <p>{words.conflictText(formatNumber(conflicts))}</p>
      <ul class="conflict-names small">
        {items.slice(0, NAMES_SHOWN).map(({ id, name }) => (
          <li key={id}>{name}</li>
        ))}
        {rest > 0 && <li class="soft">{words.more(formatNumber(rest))}</li>}
      </ul>
      <div class="conflict-choices">
        {choices.map(({ answer, label, why }) => (
          <div key={answer}>
            <button type="button" aria-describedby={`why-${answer}`} onClick={() => decide(answer)}>
              {label}
            </button>
            <span id={`why-${answer}`} class="small soft">
              {why}
            </span>
          </div>
        ))}
      </div>
      <p class="small soft">{words.conflictForAll}</p>
    </Dialog>
  )
}
