import { chooseLockMinutes, LOCK_CHOICES, lockMinutes } from '../../state/lock.ts'
import { formatDuration } from '../../words/formats.ts'
import { t } from '../../words/words.ts'

const MINUTE_MS = 60_000

/** After how long in the background the page covers itself. */
export function LockChoice() {
  const words = t.value.account
  return (
    <div class="select">
      <label for="lock-choice">{words.lock}</label>
      <select
        id="lock-choice"
        value={lockMinutes.value}
        aria-describedby="lock-hint"
        onChange={({ currentTarget }) => {
          const chosen = LOCK_CHOICES.find((minutes) => minutes === Number(currentTarget.value))
          if (chosen !== undefined) chooseLockMinutes(chosen)
        }}
      >
        {LOCK_CHOICES.map((minutes) => (
          <option key={minutes} value={minutes}>
            {minutes === 0 ? words.lockNever : formatDuration(minutes * MINUTE_MS)}
          </option>
        ))}
      </select>
      <p id="lock-hint" class="soft small">
        {words.lockHint}
      </p>
    </div>
  )
}
