import './selection-bar.css'
import { useSignal } from '@preact/signals'
import { Download, Pencil, Trash2, X } from 'lucide'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { isTouch } from '../state/touch.ts'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { clear, isPicking, selected } from './selection.ts'

/** Loaded with the first selection. */
const actions = () => import('./actions.tsx')

/** How many files are selected, and what can be done with them. */
export function SelectionBar() {
  const words = t.value.gallery
  const Asking = useSignal<ComponentType<{ onClose: () => void }> | null>(null)
  const isAny = isPicking.value
  useEffect(() => {
    if (isAny) void actions()
  }, [isAny])
  const Dialog = Asking.value
  const close = () => {
    Asking.value = null
  }
  const ask = async (which: 'RenameDialog' | 'PartsDialog') => {
    const loaded = await actions()
    Asking.value = loaded[which]
  }
  const download = async () => {
    const { downloadSelected } = await actions()
    if (!downloadSelected()) await ask('PartsDialog')
  }
  const remove = async () => (await actions()).removeSelected()
  const { size } = selected.value
  return (
    <div class="selection-place">
      {isAny && (
        <div class="selection-bar" role="toolbar" aria-label={words.selection}>
          <Button kind="quiet" icon={X} label={words.endSelection} onClick={clear} />
          <p aria-live="polite">
            {words.selected(formatNumber(size))}
            {size === 1 && <small>{isTouch ? words.rangeHintTouch : words.rangeHint}</small>}
          </p>
          <Button kind="quiet" icon={Download} label={words.download} onClick={() => void download()} />
          {size === 1 && (
            <Button kind="quiet" icon={Pencil} label={words.rename} onClick={() => void ask('RenameDialog')} />
          )}
          <Button kind="quiet" icon={Trash2} label={words.remove} onClick={() => void remove()} />
        </div>
      )}
      {Dialog && <Dialog onClose={close} />}
    </div>
  )
}
