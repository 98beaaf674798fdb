/**
 * Parses a query (WHATWG URL, section 5.1). A parameter that is given twice becomes an array, which every schema refuses. The decoder of
 * the framework concatenates single characters, and V8 keeps 32 bytes for each of them as long as the request runs.
 *
 * The percent-encoding must be valid: `isReadableTarget`.
 */
export function parseQuery(query: string): Record<string, string | string[]> {
  const parameters: Record<string, string | string[]> = Object.create(null)
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = `${pair}=`.indexOf('=')
    const name = decoded(pair.slice(0, equals))
    const value = decoded(pair.slice(equals + 1))
    const before = parameters[name]
    parameters[name] = before === undefined ? value : [before, value].flat()
  }
  return parameters
}

function decoded(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}
