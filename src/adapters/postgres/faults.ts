/** Faults of PostgreSQL and of the way there, told by the codes that `ports.ts` promises. */
import pg from 'pg'

/** What PostgreSQL says in good order: the act was undone as a whole. By SQLSTATE, appendix A of its manual. */
const UNDONE: Record<string, string> = {
  // disk_full
  '53100': 'ENOSPC',
  // read_only_sql_transaction: a server that is not, or not yet, the one to write to
  '25006': 'EROFS',
  // serialization_failure, deadlock_detected, lock_not_available, query_canceled (a time limit)
  '40001': 'EAGAIN',
  '40P01': 'EAGAIN',
  '55P03': 'EAGAIN',
  '57014': 'EAGAIN',
}

const CONFLICTS = ['40001', '40P01']

export interface DatabaseFault extends Error {
  code: string
  /** PostgreSQL's own, where it said something. */
  state?: string
}

/** The act was never sent. */
export function notReached(error: unknown): DatabaseFault {
  return fault('EAGAIN', `PostgreSQL cannot be reached: ${reasonOf(error)}`)
}

/** The act was sent and not answered: it may have happened, or happen yet. */
export function lost(why: string): DatabaseFault {
  return fault('ECONNABORTED', `the connection to PostgreSQL was lost: ${why}`)
}

/**
 * A fault of an act that was sent, and whether its connection is of no use any more. PostgreSQL's own errors are told
 * without the rows that they carry beside their message: names and addresses must not get into a log.
 */
export function databaseFault(error: unknown): { error: DatabaseFault; breaks: boolean } {
  if (!(error instanceof pg.DatabaseError)) {
    const known = (error as DatabaseFault).code === 'ECONNABORTED' ? (error as DatabaseFault) : lost(reasonOf(error))
    return { error: known, breaks: true }
  }
  const state = error.code ?? ''
  // An end of the connection may come between a commit and its answer.
  if (/^(08|57P)/.test(state)) return { error: lost(error.message), breaks: true }
  const told = fault(UNDONE[state] ?? 'EPOSTGRES', `PostgreSQL: ${error.message} (${state})`, state)
  return { error: told, breaks: UNDONE[state] === 'EROFS' }
}

/** Whether PostgreSQL undid the act because of others that went on, so that it can be done again. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.includes((error as DatabaseFault).state ?? '')
}

function fault(code: string, message: string, state?: string): DatabaseFault {
  return Object.assign(new Error(message), { code, ...(state && { state }) })
}

/** Of several addresses of one name, each has its own reason. */
function reasonOf(error: unknown): string {
  const { message, errors } = error as AggregateError
  return message || (errors ?? []).map((one: Error) => one.message).join(', ')
}
