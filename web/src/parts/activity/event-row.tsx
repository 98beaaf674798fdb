import type { ActivityEvent } from '@minikeepsafe/client'
import { Download, FileX, KeyRound, LogIn, LogOut, MonitorSmartphone, ShieldAlert, Trash2 } from 'lucide'
import { isOwn, originOf, sentenceOf } from '../../state/activity.ts'
import { serverNow } from '../../state/server-time.ts'
import { formatWhen } from '../../words/formats.ts'
import { t } from '../../words/words.ts'
import { Icon, type IconNode } from '../icon.tsx'

const ICONS: Record<string, IconNode> = {
  'sign-in': LogIn,
  'new-device': MonitorSmartphone,
  'wrong-pin': ShieldAlert,
  locked: ShieldAlert,
  'pin-issued': KeyRound,
  'session-revoked': LogOut,
  'file-deleted': Trash2,
  'file-purged': Trash2,
  export: Download,
  'damaged-read': FileX,
}

export function EventRow({ event }: { event: ActivityEvent }) {
  return (
    <li>
      <span class="mark">
        <Icon node={ICONS[event.kind] ?? ShieldAlert} />
      </span>
      <div class="text">
        <p>
          {sentenceOf(event)}
          {isOwn(event) && <span class="tag">{t.value.devices.thisOne}</span>}
        </p>
        <p class="soft small">{[formatWhen(event.at, serverNow()), ...originOf(event)].join(' · ')}</p>
      </div>
    </li>
  )
}
