import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'
import { Starting } from './starting.tsx'

/** A screen whose script is loaded when it is wanted: the page shows pictures first. `load` must stay the same function. */
export function Later({ load }: { load: () => Promise<ComponentType> }) {
  const [Loaded, setLoaded] = useState<ComponentType | null>(null)
  const [isFailed, setFailed] = useState(false)
  useEffect(() => {
    if (isFailed) return
    let isGone = false
    load().then(
      (component) => {
        if (!isGone) setLoaded(() => component)
      },
      () => {
        if (!isGone) setFailed(true)
      },
    )
    return () => {
      isGone = true
    }
  }, [load, isFailed])
  if (isFailed) {
    return (
      <main class="starting stack">
        <p>{t.value.common.notReachable}</p>
        <Button kind="main" onClick={() => setFailed(false)}>
          {t.value.common.retry}
        </Button>
      </main>
    )
  }
  return Loaded ? <Loaded /> : <Starting />
}
