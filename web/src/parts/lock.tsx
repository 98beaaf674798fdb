import './lock.css'
import { EyeOff } from 'lucide'
import { useEffect, useRef } from 'preact/hooks'
import { isLocked, unlock } from '../state/lock.ts'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'
import { Icon } from './icon.tsx'

/** Covers the page. It is a modal dialog, so the browser takes everything below from the keyboard and from screen readers. */
export function Lock() {
  return isLocked.value ? <Cover /> : null
}

function Cover() {
  const cover = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const element = cover.current
    element?.showModal()
    return () => element?.close()
  }, [])
  return (
    <dialog ref={cover} class="lock" aria-labelledby="lock-title" aria-describedby="lock-text" onClose={unlock}>
      <div class="stack">
        <Icon node={EyeOff} size={32} />
        <h2 id="lock-title">{t.value.lock.title}</h2>
        <Button kind="main" onClick={unlock}>
          {t.value.lock.show}
        </Button>
        <p id="lock-text" class="soft small">
          {t.value.lock.text}
        </p>
      </div>
    </dialog>
  )
}
