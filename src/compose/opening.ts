/** What is opened on the way to the ports. */

/** What was opened, to be let go in turn. */
export function engines() {
  const opened: (() => unknown)[] = []
  return {
    opened,
    close: async () => {
      for (const closeOne of opened.splice(0).reverse()) await closeOne()
    },
  }
}

/** What goes wrong with a folder is told with the setting that names it. */
export function naming<T>(setting: string, folder: string, act: () => T): T {
  const named = (cause: unknown) =>
    new Error(`${setting} is ${folder}, which cannot be used: ${(cause as Error).message}`, { cause })
  try {
    const result = act()
    return result instanceof Promise ? (result.catch((cause) => Promise.reject(named(cause))) as T) : result
  } catch (cause) {
    throw named(cause)
  }
}
