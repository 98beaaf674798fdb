/** Names that people give to their devices: as they are typed, and as they are stored, trimmed and in NFC. */

const MOST_CHARACTERS = 60
/**
 * The maximum for a name that is not in NFC yet. NFC makes one character of six units of UTF-16 at most. A longer name is not
 * converted: the time for that grows with the square of the number of combining marks.
 */
const MOST_TYPED_UNITS = 8 * MOST_CHARACTERS
/** Control characters, and halves of surrogate pairs, which UTF-8 does not have. */
const FORBIDDEN = /[\p{Cc}\p{Cs}]/u

/** The name as it is stored. */
export function deviceName(typed: string): string {
  return typed.trim().normalize('NFC')
}

/** Returns the error in a name, as the rest of a sentence about it; `null` if the name is valid. */
export function deviceNameFault(typed: string): string | null {
  const name = typed.trim().length > MOST_TYPED_UNITS ? '' : deviceName(typed)
  const characters = [...name].length
  if (characters === 0 || characters > MOST_CHARACTERS || FORBIDDEN.test(name)) {
    return `must be 1 to ${MOST_CHARACTERS} characters, not counting space around them, and no control characters`
  }
  return null
}
