/** The page behind the viewer. */
import type { StoredFile } from '@minikeepsafe/client'
import { client } from '../state/session.ts'

/** Neither mouse nor keyboard reach it, but the notices: "Undo" is there. Returns what undoes this. */
export function makeBackgroundInert(): () => void {
  const behind = [...(document.getElementById('app')?.children ?? [])].filter(
    (element): element is HTMLElement => element instanceof HTMLElement && !element.matches('.notices, .viewer'),
  )
  for (const element of behind) element.inert = true
  return () => {
    for (const element of behind) element.inert = false
  }
}

/** The thumbnail of the file on the page, if the user can see it: the viewer grows out of it, and shrinks back into it. */
export function cellOf({ name, thumbnail }: StoredFile): HTMLImageElement | null {
  if (thumbnail === null) return null
  const url = client.urls.thumbnail(name, thumbnail)
  const images = document.querySelectorAll<HTMLImageElement>(`#app > :not(.viewer) img[src="${CSS.escape(url)}"]`)
  return [...images].find(isVisible) ?? null
}

function isVisible(element: Element): boolean {
  const { top, bottom, width } = element.getBoundingClientRect()
  return width > 0 && bottom > 0 && top < innerHeight
}
