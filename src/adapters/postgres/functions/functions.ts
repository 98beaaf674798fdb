import { changes } from './changes.ts'
import { files } from './files.ts'
import { names } from './names.ts'
import { runs } from './runs.ts'
import { signIn } from './sign-in.ts'
import { trash } from './trash.ts'
import { uploads } from './uploads.ts'
import { users } from './users.ts'

/**
 * Functions for the transactions that have several statements, each in one round trip. Each statement sees all earlier
 * commits (READ COMMITTED), so a value read under a lock is true until the end of the transaction. All functions take locks
 * in one order: a run or a PIN, then users, then the rest. They are replaced whenever a migration runs.
 */
export const functions = [names, changes, runs, uploads, files, trash, users, signIn].join('')
