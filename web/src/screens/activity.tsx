import '../parts/rows.css'
import type { ActivityEvent } from '@minikeepsafe/client'
import { useEffect, useState } from 'preact/hooks'
import { EventRow } from '../parts/activity/event-row.tsx'
import { More } from '../parts/more.tsx'
import { Starting } from '../parts/starting.tsx'
import { usePages } from '../parts/use-pages.ts'
import { isAlert } from '../state/activity.ts'
import { hrefOf } from '../state/route.ts'
import { serverNow } from '../state/server-time.ts'
import { client } from '../state/session.ts'
import { t } from '../words/words.ts'

/** What happened to the account, the newest first. What may be a break-in stands above. */
export function Activity() {
  const words = t.value.activity
  const pages = usePages((signal) => client.account.activity({ pageSize: 120, signal }))
  const alerts = useAlerts()
  const events = pages.entries
  if (events === null && !pages.isFailed) return <Starting />
  return (
    <main class="screen stack">
      <h1>{t.value.common.activity}</h1>
      {alerts.length > 0 && (
        <section class="stack" aria-labelledby="alerts">
          <h2 id="alerts">{words.alerts}</h2>
          <p class="soft">
            {words.alertsText} <a href={hrefOf('devices')}>{t.value.common.devices}</a>
          </p>
          <ul class="rows alerts">
            {alerts.map((event) => (
              <EventRow key={event.id} event={event} />
            ))}
          </ul>
        </section>
      )}
      <section class="stack" aria-labelledby="events">
        <h2 id="events">{words.all}</h2>
        {events && events.length > 0 && (
          <ul class="rows">
            {events.map((event) => (
              <EventRow key={event.id} event={event} />
            ))}
          </ul>
        )}
        <More pages={pages} label={words.more} />
        {pages.isDone && <p class="nothing soft small">{events?.length === 0 ? words.empty : words.end}</p>}
      </section>
    </main>
  )
}

const RECENT_MS = 30 * 24 * 60 * 60 * 1000
const MOST_READ = 2000
const MOST_SHOWN = 20

/** The alerts of the last month, however many other events came after them. */
function useAlerts(): ActivityEvent[] {
  const [alerts, setAlerts] = useState<ActivityEvent[]>([])
  useEffect(() => {
    const leaving = new AbortController()
    const read = async () => {
      const found: ActivityEvent[] = []
      let count = 0
      for await (const event of client.account.activity({ pageSize: 1000, signal: leaving.signal })) {
        count += 1
        const isOld = serverNow() - Date.parse(event.at) > RECENT_MS
        if (isOld || count > MOST_READ || found.length === MOST_SHOWN) break
        if (isAlert(event)) found.push(event)
      }
      setAlerts(found)
    }
    // The list below reports an error of the same request.
    read().catch(() => {})
    return () => leaving.abort()
  }, [])
  return alerts
}
