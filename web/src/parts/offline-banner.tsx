import './offline-banner.css'
import { CloudOff } from 'lucide'
import { connection } from '../state/connection.ts'
import { phase } from '../state/session.ts'
import { t } from '../words/words.ts'
import { Icon } from './icon.tsx'

/** Is always in the page, so that screen readers notice the text when it comes. It goes by itself. */
export function OfflineBanner() {
  const isShown = connection.value !== 'good' && (phase.value === 'signed-in' || phase.value === 'signed-out')
  const { bannerOffline, bannerUnreachable } = t.value.uploads
  return (
    <div class="offline-banner" role="status">
      {isShown && (
        <p>
          <Icon node={CloudOff} size={18} />
          {connection.value === 'offline' ? bannerOffline : bannerUnreachable}
        </p>
      )}
    </div>
  )
}
