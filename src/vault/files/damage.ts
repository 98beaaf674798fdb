/** Stored data differs from the upload: a seal does not open, or a blob was changed, cut, exchanged or is missing. */
export class Damage extends Error {
  readonly fileId: string
  /** The error as a sentence. Its subject is the blob, if there is one, otherwise the file. */
  readonly how: string
  readonly blob: string | null

  constructor(fileId: string, how: string, { blob = null, cause }: { blob?: string | null; cause?: unknown } = {}) {
    super(`file ${fileId} is damaged: ${blob === null ? how : `its blob ${blob} ${how}`}`, { cause })
    this.name = 'Damage'
    this.fileId = fileId
    this.how = how
    this.blob = blob
  }
}

/** The damage of a file whose blob is not there; with `null` it has no part at all. */
export function missingBlob({ id }: { id: string }, part: { blob: string } | null): Damage {
  return part ? new Damage(id, 'is missing', { blob: part.blob }) : new Damage(id, 'it has no parts')
}

/** The damage among an error and its causes; `null` for any other error. */
export function damageIn(error: unknown): Damage | null {
  if (error instanceof Damage) return error
  return error instanceof Error && error.cause !== undefined ? damageIn(error.cause) : null
}
