import type { StoredFile } from '@minikeepsafe/client'
import { type Signal, signal } from '@preact/signals'
import { ArrowLeft, ChevronLeft, ChevronRight, Download, Info, Trash2, ZoomIn, ZoomOut } from 'lucide'
import type PhotoSwipe from 'photoswipe'
import { render } from 'preact'
import { Button } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import { client } from '../state/session.ts'
import { t } from '../words/words.ts'
import { takenInShort } from './dates.ts'
import { InfoPanel, type Measured } from './info-panel.tsx'
import { whenOpen } from './open-ended.ts'
import { moveToTrash } from './remove.ts'
import { knownLength, knownSize } from './sizes.ts'
import type { Strip } from './strip.ts'

/** Shorter loading is not worth a word. */
const QUIET_MS = 500

interface State {
  file: Signal<StoredFile>
  hasBefore: Signal<boolean>
  hasAfter: Signal<boolean>
  zoom: Signal<'none' | 'in' | 'out'>
  isLoading: Signal<boolean>
  isInfoOpen: Signal<boolean>
  /** Of the file: what is known by now. */
  measured: Signal<Measured>
}

export interface Controls {
  isInfoOpen: Signal<boolean>
  toggleInfo(): void
  /** Whether it was open. */
  closeInfo(): boolean
  /** Another file is shown, or more is known about it. */
  changed(): void
  measured(): void
  unmount(): void
}

export function mountControls(
  pswp: PhotoSwipe,
  strip: Strip,
  { begin }: { begin: (file: StoredFile) => void },
): Controls {
  const file = signal(strip.at(strip.first()) as StoredFile)
  const state: State = {
    ...{ file, hasBefore: signal(false), hasAfter: signal(false), zoom: signal<'none' | 'in' | 'out'>('none') },
    ...{ isLoading: signal(false), isInfoOpen: signal(false), measured: signal<Measured>({}) },
  }
  const root = document.createElement('div')
  root.className = 'viewer-controls'
  let timer: ReturnType<typeof setTimeout> | undefined

  pswp.on('uiRegister', () => {
    pswp.element?.append(root)
    render(<Everything />, root)
    // The keyboard goes where nothing is seen after a tap has hidden the controls.
    root.addEventListener('focusin', () => pswp.element?.classList.add('pswp--ui-visible'))
  })
  pswp.on('zoomPanUpdate', ({ slide }) => {
    if (slide === pswp.currSlide) readZoom()
  })
  pswp.on('loadComplete', readLoading)

  function readZoom(): void {
    const slide = pswp.currSlide
    const isLarge = slide !== undefined && slide.currZoomLevel > slide.zoomLevels.initial * 1.01
    state.zoom.value = !slide?.isZoomable() ? 'none' : isLarge ? 'out' : 'in'
  }

  function readLoading(): void {
    clearTimeout(timer)
    state.isLoading.value = false
    timer = setTimeout(() => {
      state.isLoading.value = pswp.currSlide?.content.isLoading() ?? false
    }, QUIET_MS)
  }

  const controls: Controls = {
    isInfoOpen: state.isInfoOpen,
    toggleInfo() {
      state.isInfoOpen.value = !state.isInfoOpen.value
      pswp.element?.classList.toggle('has-info', state.isInfoOpen.value)
      pswp.updateSize(true)
    },
    closeInfo() {
      if (!state.isInfoOpen.value) return false
      controls.toggleInfo()
      root.querySelector<HTMLElement>('[aria-expanded]')?.focus()
      return true
    },
    changed() {
      const shown = strip.at(pswp.currIndex)
      if (!shown) return
      file.value = shown
      controls.measured()
      state.hasBefore.value = strip.at(pswp.currIndex - 1) !== undefined
      state.hasAfter.value = strip.at(pswp.currIndex + 1) !== undefined
      readZoom()
      readLoading()
    },
    measured() {
      state.measured.value = { size: knownSize(file.value), lengthMs: knownLength(file.value) }
    },
    unmount() {
      clearTimeout(timer)
      render(null, root)
    },
  }
  return controls

  function Everything() {
    const words = t.value.viewer
    return (
      <>
        <Bar
          state={state}
          onClose={() => pswp.close()}
          onZoom={() => pswp.toggleZoom()}
          onInfo={controls.toggleInfo}
          onRemove={async () => {
            // The next file must be known before this one is gone.
            await strip.look(pswp.currIndex)
            await moveToTrash(file.value, (restored) => {
              if (pswp.isOpen && !pswp.isDestroying) begin(restored)
            })
          }}
        />
        <div class="viewer-arrow before pswp__hide-on-close" hidden={!state.hasBefore.value}>
          <Button
            kind="quiet"
            icon={ChevronLeft}
            label={words.previous}
            onClick={() => whenOpen(pswp, () => pswp.prev())}
          />
        </div>
        <div class="viewer-arrow after pswp__hide-on-close" hidden={!state.hasAfter.value}>
          <Button
            kind="quiet"
            icon={ChevronRight}
            label={words.next}
            onClick={() => whenOpen(pswp, () => pswp.next())}
          />
        </div>
        {state.isInfoOpen.value && (
          <InfoPanel
            key={file.value.id}
            file={file.value}
            measured={state.measured.value}
            onClose={controls.closeInfo}
          />
        )}
      </>
    )
  }
}

interface BarProps {
  state: State
  onClose: () => void
  onZoom: () => void
  onInfo: () => void
  onRemove: () => void
}

function Bar({ state: { file, zoom, isInfoOpen, isLoading }, onClose, onZoom, onInfo, onRemove }: BarProps) {
  const words = t.value.viewer
  const { name } = file.value
  return (
    <div class="viewer-bar pswp__hide-on-close">
      <Button kind="quiet" icon={ArrowLeft} label={t.value.common.close} onClick={onClose} />
      <div class="viewer-title" aria-live="polite">
        <h2>{name}</h2>
        <p class="small">{isLoading.value ? words.loading : takenInShort(file.value)}</p>
      </div>
      {zoom.value !== 'none' && (
        <div class="viewer-zoom">
          <Button
            kind="quiet"
            icon={zoom.value === 'in' ? ZoomIn : ZoomOut}
            label={zoom.value === 'in' ? words.zoomIn : words.zoomOut}
            onClick={onZoom}
          />
        </div>
      )}
      <Button kind="quiet" icon={Info} label={words.info} expanded={isInfoOpen.value} onClick={onInfo} />
      <a
        class="button quiet icon-only"
        href={client.urls.file(name)}
        download={name}
        aria-label={words.download}
        title={words.download}
      >
        <Icon node={Download} />
      </a>
      <Button kind="quiet" icon={Trash2} label={words.remove} onClick={onRemove} />
    </div>
  )
}
