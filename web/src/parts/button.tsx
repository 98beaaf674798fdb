import './button.css'
import type { ComponentChildren } from 'preact'
import { Icon, type IconNode } from './icon.tsx'

interface Props {
  /** `main` is the one action that the screen is for. */
  kind?: 'main' | 'plain' | 'quiet' | 'danger'
  icon?: IconNode
  /** For a button that shows only its icon: its name for screen readers, and its tooltip. */
  label?: string
  type?: 'button' | 'submit'
  disabled?: boolean
  pressed?: boolean
  expanded?: boolean
  /** It opens a menu. */
  hasMenu?: boolean
  onClick?: (event: MouseEvent) => void
  children?: ComponentChildren
}

export function Button({ kind = 'plain', icon, label, type = 'button', children, ...props }: Props) {
  const { pressed, expanded, hasMenu, ...rest } = props
  return (
    <button
      {...rest}
      type={type}
      class={`button ${kind}${children ? '' : ' icon-only'}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-haspopup={hasMenu ? 'menu' : undefined}
    >
      {icon && <Icon node={icon} />}
      {children && <span>{children}</span>}
    </button>
  )
}
