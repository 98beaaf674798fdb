import { Type } from '@sinclair/typebox'
import { Id, MOST_CHARACTERS, Timestamp } from './common.ts'
import { DeviceId, ListedDevice } from './users.ts'

export const SignIn = Type.Object(
  {
    deviceId: DeviceId,
    pin: Type.String({
      // Letters and digits of base32 (RFC 4648), as a person types them.
      pattern: '^(?:[0-9]{4}|[A-Za-z2-7](?:[ -]?[A-Za-z2-7]){15})$',
      'x-fault': 'must be a string of four digits, or the code of 16 letters and digits that came instead',
      description:
        'The PIN that was issued for this device, or the code that was sent in its place while the PINs of an address are paused: 16 characters, in any case, in groups or not.',
      examples: ['0427'],
    }),
  },
  { 'x-name': 'SignIn' },
)

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
  {
    'x-name': 'OpenedSession',
    description:
      'A session. It replaces an older one of the same user on this device. A user has at most 1,000: one more ends the one that was unused for longest.',
  },
)

export const BySession = Type.Object({
  sessionId: Type.String({ maxLength: MOST_CHARACTERS, description: 'The id of one of your sessions, or `current`.' }),
})

export const SessionList = Type.Object(
  {
    sessions: Type.Array(
      Type.Object(
        {
          sessionId: Id,
          deviceId: ListedDevice,
          createdAt: Timestamp,
          lastUsedAt: Timestamp,
          expiresAt: Timestamp,
          current: Type.Boolean({ description: 'Whether it is the one that asks.' }),
        },
        { 'x-name': 'Session', description: 'A device that is signed in.' },
      ),
    ),
  },
  { 'x-name': 'SessionList', description: 'The sessions that are not over, the last opened first: at most 1,000.' },
)
