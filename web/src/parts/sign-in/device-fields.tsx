import { t } from '../../words/words.ts'
import { Field } from '../field.tsx'
import type { Sending } from '../use-sending.ts'

export interface DeviceChoice {
  name: string
  untilClosed: boolean
}

interface Props {
  choice: DeviceChoice
  onChange: (choice: DeviceChoice) => void
  sending: Sending
}

/** How this device is called, and how long it stays signed in. */
export function DeviceFields({ choice, onChange, sending }: Props) {
  const words = t.value.signIn
  return (
    <>
      <Field
        label={words.deviceName}
        value={choice.name}
        onInput={(name) => onChange({ ...choice, name })}
        hint={words.deviceNameHint}
        error={sending.errorOf('deviceName', words.invalidDeviceName)}
        autoComplete="off"
        maxLength={60}
        required
      />
      <label class="check">
        <input
          type="checkbox"
          checked={choice.untilClosed}
          onChange={({ currentTarget }) => onChange({ ...choice, untilClosed: currentTarget.checked })}
        />
        <span>
          {words.untilClosed}
          <small class="soft">{words.untilClosedHint}</small>
        </span>
      </label>
    </>
  )
}
