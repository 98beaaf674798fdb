/** One append of an upload runs at a time in this process. A later one stops it, and begins once its bytes are stored. */
import { type Problem, problems } from '../../problems.ts'

export interface AppendLock {
  /**
   * Stops the append that runs and waits for it. Throws `upload-in-use` if another request for the upload comes meanwhile. The
   * caller releases the lock once the bytes that arrived are stored.
   */
  take(owner: string, id: string): Promise<HeldLock>
  /** Ends the append of this process that still receives bytes. Those that arrived are stored before this resolves. */
  stop(owner: string, id: string): Promise<void>
}

export interface HeldLock {
  /** Resolves when the append must receive no more bytes. */
  stopped: Promise<Problem>
  release(): void
}

interface Running {
  stop(): void
  /** Resolves once the bytes that arrived are stored. */
  stored: Promise<void>
}

export function openAppendLock(): AppendLock {
  const running = new Map<string, Running>()
  /** The last append of each upload that waits until the running one has ended. */
  const waiting = new Map<string, { isOvertaken: boolean }>()

  return {
    async take(owner, id) {
      const key = keyOf(owner, id)
      if (running.has(key)) await waitForTurn(key)
      return register(key)
    },

    async stop(owner, id) {
      overtake(keyOf(owner, id))
      await end(keyOf(owner, id))
    },
  }

  /** An append that waits is refused. Its client has come back on another connection, and must not find its bytes there later. */
  function overtake(key: string): void {
    const other = waiting.get(key)
    if (other) other.isOvertaken = true
  }

  async function end(key: string): Promise<void> {
    for (let other = running.get(key); other; other = running.get(key)) {
      other.stop()
      await other.stored
    }
  }

  async function waitForTurn(key: string): Promise<void> {
    const turn = { isOvertaken: false }
    overtake(key)
    waiting.set(key, turn)
    await end(key)
    if (waiting.get(key) === turn) waiting.delete(key)
    if (turn.isOvertaken) throw problems.uploadInUse()
  }

  function register(key: string): HeldLock {
    let release = () => {}
    let stopNow = () => {}
    const stopped = new Promise<Problem>((resolve) => {
      stopNow = () => resolve(problems.uploadInUse())
    })
    const stored = new Promise<void>((resolve) => {
      release = () => {
        running.delete(key)
        resolve()
      }
    })
    running.set(key, { stop: stopNow, stored })
    return { stopped, release }
  }
}

/** Ids of users and uploads have no spaces. */
const keyOf = (owner: string, id: string) => `${owner} ${id}`
