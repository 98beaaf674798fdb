/** Maps errors of PostgreSQL and of the connection to it to the codes that `ports.ts` promises. */
import pg from 'pg'

/** Error responses after which the whole transaction is rolled back. The keys are SQLSTATE, appendix A of the manual. */
const ROLLED_BACK: Record<string, string> = {
  // disk_full
  '53100': 'ENOSPC',
  // read_only_sql_transaction: the server is not, or not yet, the primary
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
  /** PostgreSQL's SQLSTATE, if it sent an error response. */
  state?: string
}

/** The transaction was never sent. */
export function notReached(error: unknown): DatabaseFault {
  return errorOf('EAGAIN', `PostgreSQL cannot be reached: ${reasonOf(error)}`)
}

/** The transaction was sent but not answered: it may be committed, or may still be committed later. */
export function lost(why: string): DatabaseFault {
  return errorOf('ECONNABORTED', `the connection to PostgreSQL was lost: ${why}`)
}

/**
 * Maps an error of a transaction that was sent. `breaks` says that its connection is unusable. The result has the message of
 * PostgreSQL's error but not the row data beside it: names and addresses must not get into a log.
 */
export function databaseFault(error: unknown): { error: DatabaseFault; breaks: boolean } {
  if (!(error instanceof pg.DatabaseError)) {
    const known = (error as DatabaseFault).code === 'ECONNABORTED' ? (error as DatabaseFault) : lost(reasonOf(error))
    return { error: known, breaks: true }
  }
  const state = error.code ?? ''
  // The connection may end between a commit and its response.
  if (/^(08|57P)/.test(state)) return { error: lost(error.message), breaks: true }
  const mapped = errorOf(ROLLED_BACK[state] ?? 'EPOSTGRES', `PostgreSQL: ${error.message} (${state})`, state)
  return { error: mapped, breaks: ROLLED_BACK[state] === 'EROFS' }
}

/** Whether PostgreSQL rolled the transaction back in favour of others, so that it can be retried. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.includes((error as DatabaseFault).state ?? '')
}

function errorOf(code: string, message: string, state?: string): DatabaseFault {
  return Object.assign(new Error(message), { code, ...(state && { state }) })
}

/** If a name has several addresses, each address has its own reason. */
function reasonOf(error: unknown): string {
  const { message, errors } = error as AggregateError
  return message || (errors ?? []).map((one: Error) => one.message).join(', ')
}
