import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { add } from './add.ts'
import { shared } from './shared.ts'

const NAMES_SHOWN = 4

/** Nothing that comes from outside gets into the vault without a yes. */
export function SharedDialog() {
  const words = t.value.uploads
  const files = shared.value
  const rest = files.length - NAMES_SHOWN
  const discard = () => {
    shared.value = []
  }
  const accept = () => {
    discard()
    void add(files)
  }
  return (
    <Dialog
      title={words.sharedTitle}
      onClose={discard}
      actions={
        <>
          <Button onClick={discard}>{words.sharedDiscard}</Button>
          <Button kind="main" onClick={accept}>
            {words.sharedAdd}
          </Button>
        </>
      }
    >
      <p>{words.sharedText(formatNumber(files.length))}</p>
      <ul class="conflict-names small">
        {files.slice(0, NAMES_SHOWN).map(({ name }, i) => (
          <li key={`${i} ${name}`}>{name}</li>
        ))}
        {rest > 0 && <li class="soft">{words.more(formatNumber(rest))}</li>}
      </ul>
    </Dialog>
  )
}
