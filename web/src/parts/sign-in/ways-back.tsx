import { MonitorSmartphone, UserRound } from 'lucide'
import { deviceId } from '../../state/session.ts'
import { t } from '../../words/words.ts'
import { Button } from '../button.tsx'
import { Icon } from '../icon.tsx'

interface Props {
  /** Why the person is here. */
  reason: string
  onPin: () => void
  onBack: () => void
}

/** For somebody who has a vault on a server that sends no mail. */
export function WaysBack({ reason, onPin, onBack }: Props) {
  const words = t.value.signIn
  return (
    <div class="stack">
      <p role="alert">{reason}</p>
      <section class="way">
        <Icon node={MonitorSmartphone} size={24} />
        <div>
          <h3>{words.wayDevice}</h3>
          <p class="soft">{words.wayDeviceHow}</p>
        </div>
      </section>
      <section class="way">
        <Icon node={UserRound} size={24} />
        <div>
          <h3>{words.wayOperator}</h3>
          <p class="soft">{words.wayOperatorHow}</p>
          <p class="small">{words.deviceId}:</p>
          <code>{deviceId()}</code>
        </div>
      </section>
      <div class="row">
        <Button kind="quiet" onClick={onBack}>
          {words.otherAddress}
        </Button>
        <Button kind="main" onClick={onPin}>
          {words.haveOperatorPin}
        </Button>
      </div>
    </div>
  )
}
