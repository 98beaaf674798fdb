import type { Session } from '@minikeepsafe/client'
import { LogOut, Monitor, Smartphone } from 'lucide'
import { serverNow } from '../../state/server-time.ts'
import { formatDate, formatWhen } from '../../words/formats.ts'
import { t } from '../../words/words.ts'
import { Button } from '../button.tsx'
import { Icon } from '../icon.tsx'

/** The server knows only the name. */
const PHONES = /phone|android|ios|pad|handy|mobil|galaxy|pixel/i

interface Props {
  session: Session
  name: string
  onEnd: () => void
}

export function DeviceRow({ session, name, onEnd }: Props) {
  const words = t.value.devices
  return (
    <li>
      <span class="mark">
        <Icon node={PHONES.test(name) ? Smartphone : Monitor} />
      </span>
      <div class="text">
        <p>
          {name}
          {session.current && <span class="tag">{words.thisOne}</span>}
        </p>
        <p class="soft small">{words.lastUsed(formatWhen(session.lastUsedAt, serverNow()))}</p>
        <p class="soft small">{words.since(formatDate(session.createdAt))}</p>
      </div>
      <div class="actions">
        <Button icon={LogOut} label={words.signOutOf(name)} onClick={onEnd}>
          {words.signOut}
        </Button>
      </div>
    </li>
  )
}
