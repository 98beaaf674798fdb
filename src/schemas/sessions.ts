import { Type } from '@sinclair/typebox'
import { Id, MOST_CHARACTERS, Timestamp } from './common.ts'
import { DeviceId, DeviceName, ListedDevice } from './users.ts'

export const SignIn = Type.Object(
  {
    deviceId: DeviceId,
    pin: Type.String({
      // Base32 (RFC 4648) in any case, with optional spaces or hyphens, as people type it.
      pattern: '^(?:[0-9]{4}|[A-Za-z2-7](?:[ -]?[A-Za-z2-7]){15})$',
      'x-message': 'must be a string of four digits, or the code of 16 letters and digits that was sent instead',
      description:
        'The PIN that was issued for this device, or the code that was sent in its place while the PINs of an address are paused: 16 characters, in any case, in groups or not.',
      examples: ['0427'],
    }),
    deviceName: Type.Optional(
      Type.String({
        maxLength: MOST_CHARACTERS,
        // `plugins/intake/validation.ts` checks the format.
        format: 'device-name',
        description:
          'What a person calls the device: 1 to 60 characters after trimming, no control characters. It is converted to NFC. The device keeps it until a sign-in gives another one.',
        examples: ['Ada’s phone'],
      }),
    ),
  },
  { 'x-name': 'SignIn' },
)

export const OpenedSession = Type.Object(
  {
    sessionId: Id,
    token: Type.String({
      description: 'For `Authorization: Bearer`. The server stores only its hash, so it cannot be shown again.',
      examples: ['mks_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    }),
    userId: Id,
    deviceId: DeviceId,
    expiresAt: Timestamp,
  },
  {
    'x-name': 'OpenedSession',
    description:
      'A session. It replaces an older session of the same user on this device. A user has at most 1,000 sessions: a new one above that ends the least recently used one.',
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
          deviceName: Type.Optional(DeviceName),
          createdAt: Timestamp,
          lastUsedAt: Timestamp,
          expiresAt: Timestamp,
          current: Type.Boolean({ description: 'Whether this is the session of the request.' }),
        },
        { 'x-name': 'Session', description: 'A device that is signed in.' },
      ),
    ),
  },
  { 'x-name': 'SessionList', description: 'The active sessions, the newest first: at most 1,000.' },
)
