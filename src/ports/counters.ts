/** Counting within a window of time. */

/** Counts events under a key within a window of time. May forget at a restart. */
export interface EventCounter {
  /** Counts one more; true while there were at most `max` within `windowMs`. */
  take(key: string, max: number, windowMs: number): Promise<boolean>
}

/** The same for requests, whose callers are told how they stand. May forget at a restart, or be out of reach for a while. */
export interface RequestCounter {
  /**
   * Counts one more of the caller's under a limit, as so many as it costs (1), and answers how many there were within the
   * window, this one included, and how long it stays open. It opens with the first. No caller makes another one's window
   * close early.
   */
  count(limit: string, caller: string, windowMs: number, cost?: number): Promise<{ count: number; leftMs: number }>
}
