/**
 * One sync for all who wait at the same time. Who comes while one is in flight joins the next: the one in flight may
 * have begun before their entry was written.
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
