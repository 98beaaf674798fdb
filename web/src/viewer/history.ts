/** An entry in the browser's history while the viewer is open, so that "back" closes it and does not leave the page. */

const hasEntry = () => (history.state as { viewer?: boolean } | null)?.viewer === true

/** Going back is asynchronous: a viewer that opens at once must not lose its entry to it. */
let leaving: Promise<void> = Promise.resolve()

/** Calls `onBack` when the user goes back. Returns what removes the entry when the viewer closes in another way. */
export async function enterHistory(onBack: () => void): Promise<() => void> {
  await leaving
  // After a reload the entry is still there.
  if (!hasEntry()) history.pushState({ ...history.state, viewer: true }, '')
  const onPop = () => {
    removeEventListener('popstate', onPop)
    onBack()
  }
  addEventListener('popstate', onPop)
  return () => {
    removeEventListener('popstate', onPop)
    if (!hasEntry()) return
    leaving = new Promise((resolve) => {
      addEventListener('popstate', () => resolve(), { once: true })
      setTimeout(resolve, 500)
    })
    history.back()
  }
}
