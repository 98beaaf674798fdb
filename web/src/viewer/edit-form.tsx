import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { t } from '../words/words.ts'

interface Props {
  onSave: () => Promise<void>
  onCancel: () => void
  children: ComponentChildren
}

/** Safari ends the composition first, and tells only by the key's code. */
const OF_INPUT_METHOD = 229

/** A Japanese or Chinese input method uses Escape to cancel a word before it is in the field. */
const isForInputMethod = ({ isComposing, keyCode }: KeyboardEvent) => isComposing || keyCode === OF_INPUT_METHOD

/** One thing to change, in place of what it shows. Escape leaves it as it was. */
export function EditForm({ onSave, onCancel, children }: Props) {
  const form = useRef<HTMLFormElement>(null)
  const [isBusy, setBusy] = useState(false)
  useEffect(() => form.current?.querySelector('input')?.focus(), [])
  return (
    <form
      ref={form}
      class="viewer-edit"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        if (!isForInputMethod(event)) onCancel()
      }}
      onSubmit={(event) => {
        event.preventDefault()
        setBusy(true)
        void onSave().finally(() => setBusy(false))
      }}
    >
      {children}
      <div class="viewer-ways">
        <Button kind="quiet" onClick={onCancel}>
          {t.value.common.cancel}
        </Button>
        <Button kind="main" type="submit" disabled={isBusy}>
          {t.value.viewer.save}
        </Button>
      </div>
    </form>
  )
}
