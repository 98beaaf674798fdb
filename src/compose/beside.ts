/** Turns settings into the ports of the operator's commands: the same engines, opened beside a server or without one. */
import { access } from 'node:fs/promises'
import { diskBlobs } from '../adapters/disk/blobs.ts'
import { openSqliteBeside } from '../adapters/sqlite/engine.ts'
import type { Config } from '../config/config.ts'
import type { DatabaseEngine } from '../ports/database.ts'
import type { CommandPorts } from '../ports/operator.ts'
import type { Alarm, Audit, Chance, Clock } from '../ports/ports.ts'
import { bucketOf } from './bucket.ts'
import { masterKeysOf, missingMasterKey } from './master-keys.ts'
import { engines, naming } from './opening.ts'
import { databasePlace } from './startup-log.ts'

/**
 * Creates nothing and changes no schema. Throws if there is no vault. The master keys are read only when they are used,
 * because not every command needs them.
 */
export async function composeBeside(
  config: Config,
  clock: Clock,
  chance: Chance,
  { alarm, audit }: { alarm: Alarm; audit: Audit },
): Promise<CommandPorts> {
  const { opened, close } = engines()
  try {
    const database = await databaseBeside(config)
    opened.push(database.close)
    const blobs = await blobsBeside(config, clock)
    opened.push(blobs.close)
    return {
      ...database.repositories,
      ledger: database.ledger,
      shrink: database.shrink,
      blobs,
      clock,
      chance,
      alarm,
      audit,
      get masterKeys() {
        return masterKeysOf(config, missingMasterKey)
      },
      census: () => database.census(clock()),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function databaseBeside({ DATABASE_URL: url, DATA_DIR }: Config): Promise<DatabaseEngine> {
  if (!url) return openSqliteBeside(DATA_DIR)
  const { openPostgresBeside } = await import('../adapters/postgres/engine.ts')
  return naming('DATABASE_URL', databasePlace(url), () => openPostgresBeside(url))
}

async function blobsBeside(config: Config, clock: Clock) {
  const bucket = await bucketOf(config, clock)
  if (bucket) return bucket
  await naming('UPLOADS_DIR', config.UPLOADS_DIR, () => access(config.UPLOADS_DIR))
  return diskBlobs(config.UPLOADS_DIR, { shared: true })
}
