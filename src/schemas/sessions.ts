import { Type } from '@sinclair/typebox'
import { Id, Timestamp } from './common.ts'
import { DeviceId } from './users.ts'

export const SignIn = Type.Object({
  deviceId: DeviceId,
  pin: Type.String({
    pattern: '^[0-9]{4}$',
    'x-fault': 'must be a string of four digits',
    description: 'The PIN that was issued for this device.',
    examples: ['0427'],
  }),
})

export const OpenedSession = Type.Object(
  {
    sessionId: Id,
    token: Type.String({
      description: 'For `Authorization: Bearer`. It is not stored here and cannot be shown again.',
      examples: ['mks_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    }),
    userId: Id,
    deviceId: DeviceId,
    expiresAt: Timestamp,
  },
  { description: 'A session. It replaces an older one of the same user on this device.' },
)
