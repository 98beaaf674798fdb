/** Reads the operator's keys, and creates the first one or reports that one is missing. */
import { join, resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { makeKeyFile, masterKeyIn, readKeyFile } from '../adapters/disk/key-file.ts'
import type { Config } from '../config/config.ts'
import type { MasterKeys } from '../ports/ports.ts'

/** If the settings name no key, reads the key file in `DATA_DIR`. If that is missing, `missing` returns a key or throws. */
export function masterKeysOf(config: Config, missing: (path: string) => string): MasterKeys {
  const { MASTER_KEY, MASTER_KEY_FILE, MASTER_KEY_PREVIOUS = '', DATA_DIR } = config
  if (config.DATABASE_URL && !MASTER_KEY && !MASTER_KEY_FILE) {
    throw new Error(
      'with DATABASE_URL set MASTER_KEY or MASTER_KEY_FILE, to the same key for every server: no key is created',
    )
  }
  if (MASTER_KEY && MASTER_KEY_FILE) throw new Error('set MASTER_KEY or MASTER_KEY_FILE, not both')
  const current = MASTER_KEY ?? keyTextOf(MASTER_KEY_FILE, join(DATA_DIR, 'master.key'), missing)
  const previous = MASTER_KEY_PREVIOUS.split(',').filter((text) => text.trim() !== '')
  return {
    current: masterKeyIn(current, MASTER_KEY ? 'MASTER_KEY' : 'the master key file'),
    previous: previous.map((text) => masterKeyIn(text, 'a key in MASTER_KEY_PREVIOUS')),
  }
}

function keyTextOf(named: string | undefined, usual: string, missing: (path: string) => string): string {
  const text = readKeyFile(named ?? usual)
  if (text !== null) return text
  if (named) throw new Error(`MASTER_KEY_FILE is ${named}, and there is no such file`)
  return missing(usual)
}

/** Creates a master key. Only for a vault without slots: a new key could not open them. */
export function makeMasterKey(path: string, log: FastifyBaseLogger): string {
  log.warn(
    `made a master key: ${resolve(path)}. Keep a copy of it in another place: without it every file is lost. While it is on the disk of the files, anyone who can read that disk can read them`,
  )
  return makeKeyFile(path)
}

export function missingMasterKey(path: string): never {
  throw new Error(
    `the master key ${path} is missing; without it nothing in this vault opens. Restore it, or set MASTER_KEY or MASTER_KEY_FILE`,
  )
}
