/** Resolves when the page has shown its first picture, or a few seconds after its start: what can wait is loaded then. */
const PATIENCE_MS = 4000

export const calm: Promise<void> = new Promise((resolve) => {
  const done = () => {
    removeEventListener('load', onLoad, true)
    resolve()
  }
  // The event of a picture does not bubble; the event of the page comes from the document.
  const onLoad = ({ target }: Event) => {
    if (target instanceof HTMLImageElement) done()
  }
  addEventListener('load', onLoad, true)
  setTimeout(done, PATIENCE_MS)
})
