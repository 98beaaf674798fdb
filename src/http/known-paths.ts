/** The paths of all routes. They decide between the 404 and the 405 of a request that no route takes. */
import { type Problem, problems } from '../problems.ts'

export interface KnownPaths {
  /** `url` is the pattern of a route: `/v1/files/:name`, `/docs/static/*`. */
  add(url: string, methods: string[]): void
  /** The methods that a path takes, in order; none if there is no such path. */
  methodsOf(target: string): string[]
  /** `method-not-allowed` with the methods of the path, or `not-found`. */
  refusalOf(target: string): Problem
}

export function knownPaths(): KnownPaths {
  const paths = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  return {
    add(url, methods) {
      const known = paths.get(url) ?? { pattern: patternOf(url), methods: new Set() }
      for (const method of methods) known.methods.add(method)
      paths.set(url, known)
    },
    methodsOf,
    refusalOf(target) {
      const allowed = methodsOf(target)
      return allowed.length > 0 ? problems.methodNotAllowed(allowed) : problems.notFound()
    },
  }

  function methodsOf(target: string): string[] {
    const path = pathOf(target)
    const known = [...paths.values()].filter(({ pattern }) => pattern.test(path))
    return [...new Set(known.flatMap(({ methods }) => [...methods]))].sort()
  }
}

function patternOf(url: string): RegExp {
  const source = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
  return new RegExp(`^${source.replace(/\*/g, '.*')}$`)
}

/** The path of a request target (RFC 9112, section 3.2), decoded, except characters that would split a segment. */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0] as string
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
