import './refusal.css'
import { messageOf } from '../../state/session.ts'
import { formatCountdown } from '../../words/formats.ts'
import { t } from '../../words/words.ts'
import type { Sending } from '../use-sending.ts'

interface Props {
  sending: Sending
  /** What `invalid-pin` means here. */
  wrongPin?: string
}

/** Why it did not work. It is always in the page, so that screen readers notice a new text. */
export function Refusal({ sending: { refusal, waitMs }, wrongPin = t.value.signIn.wrongPin }: Props) {
  return (
    <div class="refusal">
      <div role="alert">{refusal && <p>{textOf()}</p>}</div>
      {waitMs > 0 && (
        // A screen reader reads the time when it is asked, not each second.
        <p role="timer" aria-live="off">
          {t.value.signIn.nextTry(formatCountdown(waitMs))}
        </p>
      )}
    </div>
  )

  function textOf(): string {
    if (refusal === null) return ''
    if (refusal.code === 'invalid-pin') return wrongPin
    if (refusal.code === 'too-many-requests') return t.value.signIn.tooMany
    if (refusal.errors.length > 0) return t.value.signIn.checkFields
    return messageOf(refusal)
  }
}
