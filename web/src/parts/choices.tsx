import './choices.css'
import { useEffect, useRef } from 'preact/hooks'
import { Icon, type IconNode } from './icon.tsx'

export interface Choice {
  label: string
  icon: IconNode
  run: () => void
}

interface Props {
  label: string
  choices: Choice[]
  /** The menu opens beside it. */
  anchor: HTMLElement
  onClose: () => void
  /** Below the choices. */
  hint?: string | null
}

const GAP = 8

/** A menu. Arrow keys move in it, Escape and a click elsewhere close it. */
export function Choices({ label, choices, anchor, onClose, hint }: Props) {
  const menu = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const element = menu.current
    if (!element) return
    element.showPopover?.()
    place(element, anchor)
    element.querySelector('button')?.focus()
    const elsewhere = ({ target }: Event) => {
      if (target instanceof Node && !element.contains(target) && !anchor.contains(target)) onClose()
    }
    const moved = () => onClose()
    addEventListener('pointerdown', elsewhere)
    addEventListener('resize', moved)
    return () => {
      removeEventListener('pointerdown', elsewhere)
      removeEventListener('resize', moved)
    }
  }, [])

  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [...(menu.current?.querySelectorAll('button') ?? [])]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key]
    if (to !== undefined) {
      event.preventDefault()
      buttons.at(to % buttons.length)?.focus()
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      if (event.key === 'Escape') event.stopPropagation()
      onClose()
      anchor.focus()
    }
  }
  return (
    <div ref={menu} class="choice-menu" popover="manual">
      <div role="menu" aria-label={label} onKeyDown={onKeyDown}>
        {choices.map(({ label, icon, run }) => (
          <button
            key={label}
            type="button"
            role="menuitem"
            tabIndex={-1}
            onClick={() => {
              onClose()
              anchor.focus()
              run()
            }}
          >
            <Icon node={icon} />
            {label}
          </button>
        ))}
      </div>
      {hint && <p class="soft small">{hint}</p>}
    </div>
  )
}

/** Below the anchor where there is room, otherwise above it; always inside the window. */
function place(menu: HTMLElement, anchor: HTMLElement): void {
  const at = anchor.getBoundingClientRect()
  const { width, height } = menu.getBoundingClientRect()
  const isAbove = at.bottom + GAP + height > innerHeight && at.top > height + GAP
  menu.style.left = `${Math.max(GAP, Math.min(at.left, innerWidth - width - GAP))}px`
  menu.style.top = `${isAbove ? at.top - height - GAP : at.bottom + GAP}px`
}
