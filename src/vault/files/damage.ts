/** Stored data differs from the upload: a seal does not open, or a blob was changed, cut, exchanged or is missing. */
export class Damage extends Error {
  readonly fileId: string

  constructor(fileId: string, how: string, cause?: unknown) {
    super(`file ${fileId} is damaged: ${how}`, { cause })
    this.name = 'Damage'
    this.fileId = fileId
  }
}

/** The damage among an error and its causes; `null` for any other error. */
export function damageIn(error: unknown): Damage | null {
  if (error instanceof Damage) return error
  return error instanceof Error && error.cause !== undefined ? damageIn(error.cause) : null
}
