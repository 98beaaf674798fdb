/** The lines of the log for an audit. They have the field `audit`, so that a filter finds them. */
import type { Audit } from '../ports/ports.ts'

/** `clients`: with the addresses of clients. */
export function auditTo(info: (fields: object, message: string) => void, clients: boolean): Audit {
  return (audit, { caller, user, session, file, key }) => {
    const ids = { user, session, file, key, client: clients ? caller.address : null }
    const known = Object.entries({ requestId: caller.requestId, audit, ...ids }).filter(([, id]) => id)
    info(Object.fromEntries(known), 'audit')
  }
}
