/** A master key as a file: 32 bytes in base64, one line. */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** The text of the key file; `null` where there is none. */
export function readKeyFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Makes a key that nobody has seen, readable for this user alone. Durable once returned. Throws where there is a file. */
export function makeKeyFile(path: string): string {
  const text = randomBytes(32).toString('base64')
  const file = openSync(path, 'wx', 0o600)
  writeSync(file, `${text}\n`)
  fsyncSync(file)
  closeSync(file)
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
  return text
}

/** The key in a text. Where it is none, the error names the source and never shows what it was given. */
export function masterKeyIn(text: string, source: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== 32 || !/^[A-Za-z0-9+/_-]{43}=?$/.test(text.trim())) {
    throw new Error(`${source} must be 32 bytes in base64, such as openssl rand -base64 32 makes`)
  }
  return key
}
