/** The credentials in the header of a request: a token, or a cookie of a page of the server. */

type Fields = [name: string, value: string][]

export interface Sent {
  token: string | null
  /** Whether it is certain that the server takes this token, and no other. */
  certain: boolean
}

/** `null` for a request without credentials. */
export function credentialsIn(headers: Fields): Sent | null {
  const valuesOf = (field: string) => headers.flatMap(([name, value]) => (name.toLowerCase() === field ? [value] : []))
  const [authorization, ...others] = valuesOf('authorization')
  if (authorization !== undefined) {
    const token = /^Bearer (\S+)$/.exec(authorization)?.[1] ?? null
    return { token, certain: others.length === 0 }
  }
  const cookies = [
    ...valuesOf('cookie')
      .join('; ')
      .matchAll(/(?<=^|; ?)minikeepsafe=([^;]*)/g),
  ].map(([, value]) => value)
  if (cookies.length === 0) return null
  const isOfPage = valuesOf('sec-fetch-site').join() === 'same-origin'
  return { token: cookies[0] ?? null, certain: isOfPage && cookies.length === 1 }
}

export const asToken = (token: string): Fields => [['Authorization', `Bearer ${token}`]]
export const asCookie = (token: string): Fields => [
  ['Cookie', `minikeepsafe=${token}`],
  ['Sec-Fetch-Site', 'same-origin'],
]

/** The token in a `Set-Cookie` of a sign-in. */
export function tokenSet(headers: Record<string, string>): string | undefined {
  return /^minikeepsafe=([^;]+);/.exec(headers['set-cookie'] ?? '')?.[1]
}
