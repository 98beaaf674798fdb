/** Chooses one of several codings of the same content (RFC 9110, section 12.5.3). */

export type Coding = 'br' | 'gzip' | 'identity'

const MEMBER = /^([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*q=([01](?:\.\d{0,3})?))?$/i

/** Less than any weight that a client can give: plain bytes are acceptable unless they are excluded. */
const ACCEPTABLE = 0.0001

/**
 * `variants` are in the order in which the server prefers them, the plain bytes last. If the client accepts none, it gets these.
 */
export function chosenVariant<Variant extends { coding: Coding }>(
  acceptEncoding: string | undefined,
  variants: [...Variant[], Variant],
): Variant {
  const weights = weightsIn(acceptEncoding ?? '')
  const weightOf = ({ coding }: Variant) =>
    weights.get(coding) ?? weights.get('*') ?? (coding === 'identity' ? ACCEPTABLE : 0)
  const plain = variants.at(-1) as Variant
  const [best = plain] = variants.filter((one) => weightOf(one) > 0).toSorted((a, b) => weightOf(b) - weightOf(a))
  return best
}

/** Members that cannot be read are ignored. */
function weightsIn(field: string): Map<string, number> {
  const weights = new Map<string, number>()
  for (const member of field.split(',')) {
    const [, coding, weight = '1'] = MEMBER.exec(member.trim()) ?? []
    if (coding !== undefined) weights.set(coding.toLowerCase(), Number(weight))
  }
  return weights
}
