import './gallery.css'
import { computed, useComputed } from '@preact/signals'
import { Images } from 'lucide'
import { useEffect } from 'preact/hooks'
import { FindBar } from '../gallery/find-bar.tsx'
import { Grid } from '../gallery/grid.tsx'
import { onPageKey } from '../gallery/keyboard.ts'
import { prefix, sections, shownKind } from '../gallery/lists.ts'
import { Scrubber } from '../gallery/scrubber.tsx'
import { clear } from '../gallery/selection.ts'
import { SelectionBar } from '../gallery/selection-bar.tsx'
import { Button } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import { account } from '../state/session.ts'
import { follow, retry, start, state } from '../state/timeline.ts'
import { AddButton } from '../uploads/add-button.tsx'
import { formatBytes, formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'

/** Nothing is known yet. */
const isFirstWait = computed(() => state.value === 'loading' && sections.value.length === 0)
/** There is nothing to look for. */
const isVaultEmpty = computed(
  () => state.value === 'ready' && prefix.value === '' && shownKind.value === 'all' && sections.value.length === 0,
)

export function Gallery() {
  useEffect(() => {
    void start()
    const stop = follow()
    addEventListener('keydown', onPageKey)
    return () => {
      stop()
      removeEventListener('keydown', onPageKey)
      clear()
    }
  }, [])
  const isEmpty = isVaultEmpty.value
  return (
    <main class="gallery">
      <SelectionBar />
      <header>
        <div class="head">
          <div>
            <h1>{t.value.common.photos}</h1>
            <Usage />
          </div>
          {/* An empty vault has the button in another place. It must not go away under an open menu. */}
          {!isFirstWait.value && !isEmpty && <AddButton />}
        </div>
        {!isEmpty && <FindBar />}
      </header>
      <Files />
      <Scrubber />
    </main>
  )
}

function Usage() {
  const known = account.value
  if (!known) return null
  const { usage, quota } = known
  const words = t.value.gallery
  const used = formatBytes(usage.bytes)
  const room = quota.bytes === null ? used : words.ofQuota(used, formatBytes(quota.bytes))
  return (
    <p class="soft small">
      {words.filesCounted(formatNumber(usage.files), usage.files)} · {room}
    </p>
  )
}

function Files() {
  const words = t.value.gallery
  /** Everything is loaded, and nothing of it is shown. */
  const isEmpty = useComputed(() => sections.value.every(({ days }) => days?.length === 0))
  if (state.value === 'failed') {
    return (
      <div class="empty">
        <p>{words.notLoaded}</p>
        <Button kind="main" onClick={retry}>
          {t.value.common.retry}
        </Button>
      </div>
    )
  }
  if (isFirstWait.value) {
    return <div class="first-wait waiting" aria-busy="true" role="status" aria-label={t.value.common.loading} />
  }
  return (
    <>
      <Grid />
      {isEmpty.value && <Empty />}
    </>
  )
}

function Empty() {
  const words = t.value.gallery
  const isWhole = isVaultEmpty.value
  return (
    <div class="empty" role="status">
      <Icon node={Images} size={48} />
      <p>{isWhole ? words.empty : prefix.value === '' ? words.noneOfKind : words.noneFound(prefix.value)}</p>
      {isWhole && <AddButton />}
    </div>
  )
}
