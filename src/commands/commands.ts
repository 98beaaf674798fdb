/** The operator's commands, in the order in which `--help` lists them. */
import { backup } from './backup.ts'
import type { Command } from './command.ts'
import { migrateData } from './migrate-data.ts'
import { pin } from './pin.ts'
import { restore } from './restore.ts'
import { rotateKey } from './rotate-key.ts'
import { sessionsEnd } from './sessions-end.ts'
import { stats } from './stats.ts'
import { sweep } from './sweep.ts'
import { userDelete } from './user-delete.ts'
import { users } from './users.ts'
import { verify } from './verify.ts'

export const commands: Record<string, Command> = {
  verify,
  backup,
  restore,
  'migrate-data': migrateData,
  'rotate-key': rotateKey,
  stats,
  sweep,
  pin,
  users,
  'sessions end': sessionsEnd,
  'user delete': userDelete,
}
