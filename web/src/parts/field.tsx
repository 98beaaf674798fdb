import './field.css'
import { useEffect, useRef } from 'preact/hooks'
import { useId } from './use-id.ts'

interface Props {
  type?: 'text' | 'email' | 'search'
  autoComplete?: string
  inputMode?: 'text' | 'numeric' | 'email' | 'search'
  maxLength?: number
  required?: boolean
  /** Takes the focus when it appears. */
  autoFocus?: boolean
  label: string
  value: string
  onInput: (value: string) => void
  /** Below the field. */
  hint?: string | undefined
  /** Says what is wrong; a screen reader reads it with the field. */
  error?: string | undefined
}

/** A labelled input. */
export function Field({ label, value, onInput, hint, error, type = 'text', autoFocus, ...rest }: Props) {
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  // The browser itself does so only once for a page.
  useEffect(() => {
    if (autoFocus) input.current?.focus()
  }, [autoFocus])
  const note = error ?? hint
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...rest}
        ref={input}
        // Preact's types expect a constant.
        type={type as 'email'}
        id={id}
        value={value}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
        aria-invalid={error ? 'true' : undefined}
        aria-describedby={note ? `${id}-note` : undefined}
      />
      {note && (
        <p id={`${id}-note`} class={error ? 'error small' : 'soft small'}>
          {note}
        </p>
      )}
    </div>
  )
}
