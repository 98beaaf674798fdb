/** The packages of others that a release has or needs, their licences, and their list for others (SBOM). */

export interface Lock {
  packages: Record<string, Locked>
}

interface Locked {
  version?: string
  license?: string
  dev?: boolean
  link?: boolean
}

export interface Shipped {
  name: string
  version: string
  license: string
  /** Parts of it are in dist/. */
  isBundled: boolean
}

/** The CycloneDX document of `npm sbom`, as far as it is changed here. */
export interface Sbom {
  metadata: { component: { name: string; version: string; 'bom-ref': string } }
  components: Component[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

interface Component {
  'bom-ref': string
  name: string
  version: string
  scope: string
  properties: { name: string; value: string }[]
}

/** Licences that allow what a release does: to pass their code on, also as a part of ours, with their text. */
const ALLOWED = new Set(['MIT', 'MIT-0', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0'])
/** Part of the page, unchanged. The MPL asks to say where its source is: dist/THIRD-PARTY.txt does. */
const UNCHANGED: Record<string, string> = { exifreader: 'MPL-2.0' }

/** The packages of production, and those that dist/ has parts of, by its THIRD-PARTY.txt. Throws if the lock lacks one. */
export function shippedIn({ packages }: Lock, notices: string): Shipped[] {
  const bundled = new Set(
    [...notices.matchAll(/^(\S+) (\S+) \(.*\), source: /gm)].map(([, name, version]) => `${name}@${version}`),
  )
  const shipped = new Map<string, Shipped>()
  for (const [path, { version = '', license = '', dev = false, link }] of Object.entries(packages)) {
    // Our own packages are in no node_modules, or are links there.
    const [, name] = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path) ?? []
    if (name === undefined || link) continue
    const key = `${name}@${version}`
    const isBundled = bundled.has(key)
    if (!dev || isBundled) shipped.set(key, { name, version, license, isBundled })
  }
  const unknown = [...bundled].filter((key) => !shipped.has(key))
  if (unknown.length > 0) throw new Error(`dist/ has parts of packages that are not locked: ${unknown.join(', ')}`)
  return [...shipped.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Those whose licence nobody has allowed, one line for each. */
export function refusedIn(shipped: Shipped[]): string[] {
  return shipped
    .filter(({ name, license }) => !isAllowed(license) && UNCHANGED[name] !== license)
    .map(({ name, version, license }) => `${name} ${version}: ${license || 'no licence'}`)
}

/** Reads the expressions of SPDX that packages have: names with OR and AND, in brackets or not. */
function isAllowed(license: string): boolean {
  const choices = license.replace(/^\((.*)\)$/, '$1').split(' OR ')
  return choices.some((choice) => choice.split(' AND ').every((name) => ALLOWED.has(name)))
}

/** Of a document about all packages, what is about those that are shipped. */
export function sbomOf(all: Sbom, shipped: Shipped[]): Sbom {
  const refs = new Set(shipped.map(({ name, version }) => `${name}@${version}`))
  const root = all.metadata.component
  // What dist/ has parts of, our package has.
  const bundled = shipped.filter(({ isBundled }) => isBundled).map(({ name, version }) => `${name}@${version}`)
  const direct = all.dependencies.find(({ ref }) => ref === root['bom-ref'])?.dependsOn ?? []
  const others = all.dependencies.filter(({ ref }) => refs.has(ref))
  return {
    ...all,
    metadata: { ...all.metadata, component: { ...root, name: 'minikeepsafe' } },
    components: all.components.filter((one) => refs.has(one['bom-ref'])).map(asShipped),
    dependencies: [{ ref: root['bom-ref'], dependsOn: [...direct, ...bundled] }, ...others].map(
      ({ ref, dependsOn }) => ({
        ref,
        dependsOn: [...new Set(dependsOn)].filter((needed) => refs.has(needed)),
      }),
    ),
  }
}

/** To npm, a package that only dist/ has parts of is one of development. */
function asShipped(component: Component): Component {
  const properties = component.properties.filter(({ name }) => name !== 'cdx:npm:package:development')
  return { ...component, scope: 'required', properties }
}
