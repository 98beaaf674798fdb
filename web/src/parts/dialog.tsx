import './dialog.css'
import { X } from 'lucide'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'
import { useId } from './use-id.ts'

interface Props {
  title: string
  onClose: () => void
  children: ComponentChildren
  /** Buttons at the lower edge, the main one last. */
  actions?: ComponentChildren
}

/** A modal dialog: the browser keeps the focus inside, and gives it back. */
export function Dialog({ title, onClose, children, actions }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const element = dialog.current
    element?.showModal()
    return () => element?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <Button kind="quiet" icon={X} label={t.value.common.close} onClick={onClose} />
      </header>
      <div class="stack">{children}</div>
      {actions && <footer>{actions}</footer>}
    </dialog>
  )
}
