/** A list of functions that release opened engines. `close` calls them, the last one first. */
export function engines() {
  const opened: (() => unknown)[] = []
  return {
    opened,
    close: async () => {
      for (const closeOne of opened.splice(0).reverse()) await closeOne()
    },
  }
}

/** Runs `work`. An error gets the name and the value of the setting that caused it. */
export function naming<T>(setting: string, folder: string, work: () => T): T {
  const named = (cause: unknown) =>
    new Error(`${setting} is ${folder}, which cannot be used: ${(cause as Error).message}`, { cause })
  try {
    const result = work()
    return result instanceof Promise ? (result.catch((cause) => Promise.reject(named(cause))) as T) : result
  } catch (cause) {
    throw named(cause)
  }
}
