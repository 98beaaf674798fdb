import './sign-in.css'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** The frame of the pages before the vault: a card in the middle. */
export function Entrance({ title, intro, children }: { title: string; intro?: string; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  // A new step begins at its heading, unless a field has the focus by then.
  useEffect(() => {
    const { activeElement } = document
    if (activeElement === null || activeElement === document.body) heading.current?.focus()
  }, [])
  return (
    <main class="entrance">
      <div class="card stack">
        <header>
          <img src="/icon.svg" alt="" width="44" height="44" />
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {intro && <p class="soft">{intro}</p>}
        </header>
        {children}
      </div>
    </main>
  )
}
