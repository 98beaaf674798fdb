import './shell.css'
import { Bell, Images, MonitorSmartphone, Trash2, UserRound } from 'lucide'
import type { ComponentType } from 'preact'
import { Gallery } from '../screens/gallery.tsx'
import { hrefOf, SCREENS, type Screen, screen } from '../state/route.ts'
import { UploadPanel } from '../uploads/panel.tsx'
import { t } from '../words/words.ts'
import { Icon, type IconNode } from './icon.tsx'
import { Later } from './later.tsx'

const ICONS: Record<Screen, IconNode> = {
  photos: Images,
  trash: Trash2,
  devices: MonitorSmartphone,
  activity: Bell,
  account: UserRound,
}

/** The other screens are loaded when they are wanted: the page shows pictures first. */
const OTHERS: Record<Exclude<Screen, 'photos'>, () => Promise<ComponentType>> = {
  trash: async () => (await import('../screens/trash.tsx')).Trash,
  devices: async () => (await import('../screens/devices.tsx')).Devices,
  activity: async () => (await import('../screens/activity.tsx')).Activity,
  account: async () => (await import('../screens/account.tsx')).AccountScreen,
}

/** The signed-in page: the menu, and a screen. */
export function Shell() {
  return (
    <div class="shell">
      <nav class="menu" aria-label={t.value.common.navigation}>
        <ul>
          {SCREENS.map((name) => {
            return (
              <li key={name}>
                <a href={hrefOf(name)} aria-current={screen.value === name ? 'page' : undefined}>
                  <Icon node={ICONS[name]} size={22} />
                  <span>{t.value.common[name]}</span>
                </a>
              </li>
            )
          })}
        </ul>
      </nav>
      {screen.value === 'photos' ? <Gallery /> : <Later key={screen.value} load={OTHERS[screen.value]} />}
      <UploadPanel />
    </div>
  )
}
