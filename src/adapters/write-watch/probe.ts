/** Finds out whether an engine takes writes, and for how long it does not. */

/** A write that takes longer hangs. The time is counted in steps, so that the time in which the event loop was late counts little. */
const LIMIT_MS = 1100
const STEP_MS = 100
/** While writes hang, or seem to, probes begin at this interval. */
export const EVERY_MS = 700

/**
 * One probe runs at a time, because each may occupy a thread or a connection for as long as the engine hangs. `hung` makes the error
 * for writes that hang. `onChange` gets it when they begin to hang, and `null` when they do not hang any more.
 */
export function openProbe(
  write: () => Promise<void>,
  hung: (limitMs: number) => Error,
  onChange: (why: Error | null) => void = () => {},
) {
  let running = false
  let begunAt = Number.NEGATIVE_INFINITY
  let last: Promise<void> = Promise.resolve()
  let hanging: Error | null = null
  let retries: NodeJS.Timeout | null = null

  return { probe, refuse, stop }

  /**
   * The result of the running probe, of the last one if it began within `freshMs` and succeeded, or of a new one. At once while
   * writes hang.
   */
  function probe(freshMs: number): Promise<void> {
    if (hanging) return Promise.reject(hanging)
    if (!running && performance.now() - begunAt >= freshMs) begin()
    return last
  }

  /** Throws while writes hang. */
  function refuse(): void {
    if (hanging) throw hanging
  }

  function begin(): void {
    if (running) return
    running = true
    begunAt = performance.now()
    const attempt = write()
    last = new Promise((resolve, reject) => {
      let leftMs = LIMIT_MS
      let timer = setTimeout(step, STEP_MS)
      attempt.then(resolve, reject).finally(() => clearTimeout(timer))

      function step() {
        leftMs -= STEP_MS
        if (leftMs > 0) {
          timer = setTimeout(step, STEP_MS)
          return
        }
        hang(hung(LIMIT_MS))
        reject(hanging)
      }
    })
    last.catch(() => {})
    const failed = (error: NodeJS.ErrnoException) => {
      begunAt = Number.NEGATIVE_INFINITY
      // Any other error is an answer: nothing hangs any more.
      if (error.code !== 'EUNREACHABLE') goOn()
    }
    attempt.then(goOn, failed).finally(() => {
      running = false
    })
  }

  function hang(error: Error): void {
    if (!hanging) onChange(error)
    hanging = error
    retries ??= setInterval(begin, EVERY_MS).unref()
  }

  function goOn(): void {
    if (hanging) onChange(null)
    hanging = null
    stop()
  }

  function stop(): void {
    if (retries) clearInterval(retries)
    retries = null
  }
}

/** A full disk is not an error of the engine: its other work goes on, and it answers each write. */
export function isFull(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOSPC'
}
