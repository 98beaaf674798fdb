import './notices.css'
import { X } from 'lucide'
import { dismiss, notices } from '../state/notices.ts'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'

/** Is always in the page, so that screen readers notice what is added. */
export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ id, text, isError, action }) => (
        <div key={id} class={isError ? 'notice is-error' : 'notice'}>
          <p>{text}</p>
          {action && (
            <Button
              kind="quiet"
              onClick={() => {
                dismiss(id)
                action.run()
              }}
            >
              {action.label}
            </Button>
          )}
          <Button kind="quiet" icon={X} label={t.value.common.close} onClick={() => dismiss(id)} />
        </div>
      ))}
    </div>
  )
}
