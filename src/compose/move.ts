/** Two sets of settings: where a vault is, and where it moves to. */
import { sqliteMoveSource } from '../adapters/sqlite/move-source.ts'
import type { Config } from '../config/config.ts'
import type { MoveSource, MoveTarget } from '../ports/operator.ts'
import type { Chance, Clock } from '../ports/ports.ts'
import { composeBeside } from './beside.ts'
import { blobsOf } from './compose.ts'
import { masterKeysOf, missingMasterKey } from './master-keys.ts'
import { engines, naming } from './opening.ts'
import { databasePlace } from './telling.ts'

/** The vault in SQLite that the settings name. Throws where there is none. Its master key is not asked for. */
export async function openMoveSource(config: Config, clock: Clock, chance: Chance): Promise<MoveSource> {
  const { opened, close } = engines()
  try {
    // Nothing goes on behind a move that could fail unheard.
    const beside = await composeBeside(config, clock, chance, () => {})
    opened.push(beside.close)
    const rows = sqliteMoveSource(config.DATA_DIR)
    opened.push(rows.close)
    const { users, keySlots, files, ledger, blobs, census } = beside
    return { users, keySlots, files, ledger, blobs, clock, chance, census, rows, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the settings name, with PostgreSQL. Nothing is opened, and so nothing made, until it is asked for. */
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
