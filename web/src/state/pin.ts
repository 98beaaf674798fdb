/** A PIN, as a person types or pastes it. */

/** Spaces, hyphens and dashes of any kind, and the invisible characters that chats put around numbers. */
const AROUND = /[\s\p{Pd}\p{Cf}]/gu
const DIGIT = /\p{Nd}/u
const DIGITS = /\p{Nd}/gu

/**
 * Four digits of any script, as keyboards for Arabic or Japanese type them, or the code of 16 letters and digits, in any case and in
 * groups. `null` for anything else.
 */
export function asPin(typed: string): string | null {
  const text = typed.normalize('NFKC').replace(AROUND, '').replace(DIGITS, asciiDigit).toUpperCase()
  return /^(?:\d{4}|[A-Z2-7]{16})$/.test(text) ? text : null
}

/** Every script has its ten digits in one row, from zero on. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  let zero = code
  while (DIGIT.test(String.fromCodePoint(zero - 1))) zero -= 1
  return String(code - zero)
}
