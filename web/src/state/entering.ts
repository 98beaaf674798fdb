/** The calls of the sign-in. They are never repeated in the background: the page tells how long to wait, and a person decides. */
import { createClient, isVaultError, type OpenedSession } from '@minikeepsafe/client'
import { deviceName, keepDeviceName } from './device-name.ts'
import { enteredByLink } from './pairing.ts'
import { timedFetch } from './server-time.ts'
import { client, deviceId, ended, signedIn, tellTabs, user } from './session.ts'

export const door = createClient({ baseUrl: location.origin, retry: { attempts: 0 }, fetch: timedFetch, user })

export interface Entry {
  pin: string
  /** The id from a pairing link; otherwise the device's own. It is not kept: the author of the link knows it. */
  pairedId?: string
  name: string
  /** The browser forgets the session when it is closed. */
  untilClosed: boolean
}

/** Signs in. A user who was signed in before is signed out. */
export async function enter({ pin, pairedId, name, untilClosed }: Entry): Promise<void> {
  const former = await ownSession()
  const session = await door.signIn({
    deviceId: pairedId ?? deviceId(),
    // An empty name would be refused.
    ...(name.trim() !== '' && { deviceName: name.trim() }),
    ...{ pin, cookie: true, persistent: !untilClosed },
  })
  if (name.trim() !== '' && name !== deviceName()) keepDeviceName(name.trim())
  if (former) await replace(former, session)
  enteredByLink(pairedId ? session.userId : null)
  await signedIn()
  tellTabs(session.userId)
}

/** The session that the page shows; `null` if it is over by now. */
async function ownSession() {
  const userId = user()
  if (userId === null) return null
  try {
    const sessions = await client.sessions.list()
    return { userId, sessionId: sessions.find(({ current }) => current)?.sessionId }
  } catch (error) {
    if (!isVaultError(error, 'unauthorized')) throw error
    ended({ isLost: true })
    return null
  }
}

/** The cookie is the new session's, so the former one has no use. That of another user ends by itself. */
async function replace(
  former: NonNullable<Awaited<ReturnType<typeof ownSession>>>,
  { userId, sessionId }: OpenedSession,
) {
  if (former.userId === userId && former.sessionId && former.sessionId !== sessionId)
    await client.sessions.end(former.sessionId).catch(() => {})
  // Nothing that the former user saw may be shown to the new one.
  ended()
}
