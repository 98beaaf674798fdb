/** Users of a lane and their sessions, as the answers tell of them. */
import { tokenSet } from './credentials.ts'
import type { Route } from './document.ts'
import type { Answer } from './line.ts'
import { jsonOf, type Memory } from './memory.ts'
import { type Model, model } from './model.ts'

export interface Session {
  token: string
  userId: string
  deviceId: string
}

export type Crew = ReturnType<typeof crew>

/** `alone`: nobody else uses these sessions, so it is certain which of them live and what their vaults hold. */
export function crew(alone: boolean) {
  let sessions: Session[] = []
  const models = new Map<string, Model>()

  return {
    alone,
    sessions: () => sessions,
    /** `null` for a user of whom others know the token. */
    modelOf: (userId: string) => (alone ? (models.get(userId) ?? null) : null),

    /** A session that was opened takes the place of the user's older one on that device. */
    learn({ status, headers, body }: Answer, memory: Memory): void {
      const told = jsonOf(body) as Partial<Session> | undefined
      const token = told?.token ?? tokenSet(headers)
      if (status !== 201 || !token || !told?.userId || !told.deviceId) return
      const { userId, deviceId } = told
      this.end((one) => one.userId === userId && one.deviceId === deviceId, memory)
      sessions.push({ token, userId, deviceId })
      if (!models.has(userId)) models.set(userId, model())
    },

    end(which: (session: Session) => boolean, memory: Memory): void {
      for (const { token } of sessions.filter(which)) memory.note('ended', token)
      sessions = sessions.filter((session) => !which(session))
    },
  }
}

/** After these it must be asked which sessions are left. */
export function mayEndSessions({ operation: { method, path } }: Route, { status }: Answer): boolean {
  return method === 'DELETE' && status === 204 && /^\/v1\/(sessions|me)\b/.test(path)
}
