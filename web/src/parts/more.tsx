import { useEffect, useRef } from 'preact/hooks'
import { t } from '../words/words.ts'
import { Button } from './button.tsx'
import type { Pages } from './use-pages.ts'

interface Props {
  pages: Pick<Pages<never>, 'isDone' | 'isFailed' | 'more'>
  /** What the button says, for users who do not scroll. */
  label: string
}

/** The end of a list: reads more when it comes near. */
export function More({ pages: { isDone, isFailed, more }, label }: Props) {
  const end = useRef<HTMLDivElement>(null)
  const latest = useRef(more)
  latest.current = more
  useEffect(() => {
    if (isDone || isFailed || !end.current) return
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting) latest.current()
      },
      { rootMargin: '600px' },
    )
    observer.observe(end.current)
    return () => observer.disconnect()
  })
  if (isDone) return null
  return (
    <div ref={end} class="nothing">
      <Button onClick={more}>{isFailed ? t.value.common.retry : label}</Button>
    </div>
  )
}
