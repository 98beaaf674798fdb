import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'
import { Dialog } from './dialog.tsx'

interface Props {
  title: string
  children: ComponentChildren
  /** What the button says that does it. */
  action: string
  isDanger?: boolean
  isDisabled?: boolean
  onConfirm: () => Promise<void>
  onClose: () => void
}

/** Asks before something that cannot be undone. It closes when it is done. */
export function Confirm({ title, children, action, isDanger = true, isDisabled, onConfirm, onClose }: Props) {
  const [isBusy, setBusy] = useState(false)
  const confirm = async () => {
    setBusy(true)
    await onConfirm()
    onClose()
  }
  return (
    <Dialog
      title={title}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t.value.common.cancel}</Button>
          <Button
            kind={isDanger ? 'danger' : 'main'}
            disabled={isBusy || isDisabled === true}
            onClick={() => void confirm()}
          >
            {action}
          </Button>
        </>
      }
    >
      {children}
    </Dialog>
  )
}
