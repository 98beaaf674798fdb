/**
 * Shares one sync between concurrent calls. A call during a running sync joins the next sync, because the running one may have
 * begun before the entry of that call was written.
 */
export function sharedSync(sync: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null

  return () => {
    if (!running) return start()
    next ??= running.then(startNext, startNext)
    return next
  }

  function start(): Promise<void> {
    const round = sync().finally(() => {
      if (running === round) running = null
    })
    running = round
    return round
  }

  function startNext(): Promise<void> {
    next = null
    return start()
  }
}
