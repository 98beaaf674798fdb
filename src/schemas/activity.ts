import { Type } from '@sinclair/typebox'
import { Id, NextCursor, nullable, Paging, Timestamp } from './common.ts'
import { DeviceName, ListedDevice } from './users.ts'

export const ActivityQuery = Type.Object(Paging)

/** The meaning of each kind of event. */
export const KINDS = {
  'sign-in': 'a known device signed in again',
  'new-device': 'a device signed in for the first time',
  'wrong-pin': 'a wrong PIN was entered for the user',
  locked: 'after too many wrong PINs, PINs of the address are paused for a while',
  'pin-issued': 'a PIN was made: for a session, for the address, or by the operator of the server',
  'session-revoked': 'a session was signed out; `sessionId` is its id',
  'file-deleted': 'a file went to the trash',
  'file-purged': 'a file of the trash was deleted for good; without `fileId`, all of them',
  export: 'an export of everything was requested',
  'damaged-read': 'a requested file is damaged on the server: upload it again',
}

const kinds = Object.entries(KINDS).map(([kind, meaning]) => `- \`${kind}\`: ${meaning}`)

const idOrNull = (description: string) => nullable(Type.String(), { description })

export const ActivityList = Type.Object(
  {
    events: Type.Array(
      Type.Object(
        {
          id: Id,
          kind: Type.String({
            description: `What happened. New kinds may be added: show unknown kinds, too.\n\n${kinds.join('\n')}`,
            examples: ['new-device'],
          }),
          at: Type.String({ ...Timestamp, description: 'The time; of several counted events, the time of the first.' }),
          address: Type.String({
            description: 'The IP address of the client; empty if it was the operator of the server, or is not known.',
            examples: ['192.0.2.7'],
          }),
          userAgent: Type.String({
            description: 'The User-Agent header, cut to 256 characters; empty without one. Clients can send any text.',
            examples: ['MyVault/1.4 (iPhone; iOS 26.1)'],
          }),
          sessionId: idOrNull('The session that did it, or that was ended; of several counted events, the last.'),
          deviceId: nullable(ListedDevice, {
            description:
              'The device that did it, or that was signed out: your own by its id, any other by a label of `~` and eight characters.',
          }),
          deviceName: Type.Optional(DeviceName),
          fileId: idOrNull(
            'The affected file; of several counted events, the last. `damaged-read` is counted for each file separately.',
          ),
          count: Type.Integer({
            minimum: 1,
            description:
              'The number of events in this entry. Events of the same kind, device and address within an hour are counted in one entry. Events from more than ten addresses are counted with the last address. `new-device` and `locked` always have their own entries.',
          }),
        },
        { 'x-name': 'ActivityEvent', description: 'Something that happened to the account.' },
      ),
    ),
    nextCursor: NextCursor,
  },
  { 'x-name': 'ActivityList', description: 'One page of the activity, the newest first.' },
)
