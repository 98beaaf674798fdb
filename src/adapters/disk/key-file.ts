/** The file of a master key: 32 bytes in base64, one line. */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { readTextFile } from '../../text-files.ts'

/** The text of the key file; `null` if there is no file. */
export function readKeyFile(path: string): string | null {
  try {
    return readTextFile(path)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw new Error(`the master key file ${path} cannot be read: ${message}`, { cause })
  }
}

/** Creates a file with a new random key, readable only by this system user. Durable once returned. Throws if the file exists. */
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

/** Parses a key. The error for an invalid key names the source and never shows the text. */
export function masterKeyIn(text: string, source: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== 32 || !/^[A-Za-z0-9+/_-]{43}=?$/.test(text.trim())) {
    throw new Error(`${source} must be 32 bytes in base64, such as openssl rand -base64 32 makes`)
  }
  return key
}
