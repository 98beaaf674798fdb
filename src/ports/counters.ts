/** Counts within a window of time. */

/** Counts events under a key within a window of time. The counts may be lost at a restart. */
export interface EventCounter {
  /** Counts one more event. True while there were at most `max` within `windowMs`. */
  take(key: string, max: number, windowMs: number): Promise<boolean>
}

/**
 * The same for requests, whose responses show the count. The counts may be lost at a restart, and the counter may be
 * unreachable for a while.
 */
export interface RequestCounter {
  /**
   * Counts one more request of the caller under a limit; it counts `cost` times (default 1). Returns the count within
   * the window, this request included, and how long the window stays open. The window opens with the first request. No
   * caller can make the window of another one close early.
   */
  count(limit: string, caller: string, windowMs: number, cost?: number): Promise<{ count: number; leftMs: number }>
}
