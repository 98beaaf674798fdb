/** Opens the folders of a test's server a second time, as an operator's command does. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import { backupTarget } from '../../src/compose/backups.ts'
import { composeBeside } from '../../src/compose/beside.ts'
import { rulesOf } from '../../src/compose/rules.ts'
import type { Config } from '../../src/config/config.ts'
import type { CommandPorts } from '../../src/ports/operator.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { backUp } from '../../src/vault/operator/backup.ts'
import { openOperatorsVault } from '../../src/vault/operator/operator.ts'
import type { TestApp } from './app.ts'

export async function operator({ config, clock }: Pick<TestApp, 'config' | 'clock'>, settings: Partial<Config> = {}) {
  const alarms: string[] = []
  const audited: string[] = []
  const ports: CommandPorts = await composeBeside({ ...config, ...settings }, clock, cryptographicChance, {
    alarm: (error, doing) => alarms.push(`${doing}: ${error}`),
    audit: (event) => audited.push(event),
  })
  onTestFinished(ports.close)
  return { ports, alarms, audited, vault: openOperatorsVault(ports, rulesOf({ ...config, ...settings })) }
}

/** Progress that nobody watches. */
export const quietly = () => () => {}

export async function backedUp(app: TestApp, folder: string, keep?: number) {
  const { ports } = await operator(app)
  const target = await backupTarget(app.config, folder)
  try {
    return await backUp(ports, target, quietly, keep)
  } finally {
    await target.close()
  }
}

/** The SQLite file itself, for changes that no port allows. */
export function databaseOf({ config }: Pick<TestApp, 'config'>): Database.Database {
  const db = new Database(join(config.DATA_DIR, 'minikeepsafe.db'))
  onTestFinished(() => void db.close())
  return db
}
