/** Opens the source and the target of a move, each from its own settings. */
import { sqliteMoveSource } from '../adapters/sqlite/move-source.ts'
import type { Config } from '../config/config.ts'
import type { MoveSource, MoveTarget } from '../ports/operator.ts'
import type { Chance, Clock } from '../ports/ports.ts'
import { composeBeside } from './beside.ts'
import { blobsOf } from './compose.ts'
import { masterKeysOf, missingMasterKey } from './master-keys.ts'
import { engines, naming } from './opening.ts'
import { databasePlace } from './startup-log.ts'

/** The vault in SQLite that the settings name. Throws if there is none. Its master key is not needed. */
export async function openMoveSource(config: Config, clock: Clock, chance: Chance): Promise<MoveSource> {
  const { opened, close } = engines()
  try {
    // A move has no background work and changes no account.
    const beside = await composeBeside(config, clock, chance, { alarm: () => {}, audit: () => {} })
    opened.push(beside.close)
    const rows = sqliteMoveSource(config.DATA_DIR)
    opened.push(rows.close)
    const { users, keySlots, files, uploads, ledger, blobs, census } = beside
    return { users, keySlots, files, uploads, ledger, blobs, clock, chance, census, rows, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The engines that the settings name, with PostgreSQL. Nothing is opened or created before `open`. */
export function moveTargetOf(config: Config, clock: Clock): MoveTarget {
  const url = config.DATABASE_URL as string
  const { opened, close } = engines()
  return {
    get masterKeys() {
      return masterKeysOf(config, missingMasterKey)
    },

    async open() {
      const { postgresMoveTarget } = await import('../adapters/postgres/move-target.ts')
      const rows = await naming('DATABASE_URL', databasePlace(url), () => postgresMoveTarget(url))
      opened.push(rows.close)
      const blobs = await blobsOf(config, clock)
      opened.push(blobs.close)
      return { rows, blobs }
    },

    close,
  }
}
