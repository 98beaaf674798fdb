/** Sources of uploads: their bytes can be read in pieces, and more than once. */
import { VaultError } from './errors.ts'

export interface Source {
  readonly size: number
  /** The media type, if it is known. */
  readonly type?: string
  readonly name?: string
  /** The bytes from `from` to before `to`. */
  slice(from: number, to: number): Uint8Array | Blob | Promise<Uint8Array | Blob>
}

/** A `Blob` or `File`, bytes, or a source of your own, for example over the files of a phone. */
export type Uploadable = Blob | Uint8Array | ArrayBuffer | Source

/** A source that is ready to be read. */
export interface Readable {
  size: number
  type: string
  name: string | null
  isInMemory: boolean
  bytes(from: number, to: number): Promise<Uint8Array>
  /** The body for `fetch`. A `Blob` stays a `Blob`, so that a browser reads it from the disk while it sends. */
  body(from: number, to: number): Promise<Uint8Array | Blob>
}

export function readable(given: Uploadable): Readable {
  const source = given instanceof ArrayBuffer ? new Uint8Array(given) : given
  if (source instanceof Uint8Array) {
    const piece = async (from: number, to: number) => source.subarray(from, to)
    return { size: source.length, type: '', name: null, isInMemory: true, bytes: piece, body: piece }
  }
  const { size } = source
  const body = async (from: number, to: number) => {
    const piece = await source.slice(from, to)
    const got = piece instanceof Uint8Array ? piece.length : piece.size
    if (got !== to - from) throw new VaultError('file-changed', 'The file became shorter while it was read.')
    return piece
  }
  const bytes = async (from: number, to: number) => {
    const piece = await body(from, to)
    return piece instanceof Uint8Array ? piece : new Uint8Array(await piece.arrayBuffer())
  }
  const name = 'name' in source && typeof source.name === 'string' ? source.name : null
  return { size, type: source.type ?? '', name, isInMemory: false, bytes, body }
}
