import { Type } from '@sinclair/typebox'
import { Id, NextCursor, Paging, Timestamp } from './common.ts'
import { ListedDevice } from './users.ts'

export const ActivityQuery = Type.Object(Paging)

/** What each kind tells its reader. */
export const KINDS = {
  'sign-in': 'a device signed in, on which the user had signed in before',
  'new-device': 'a device signed in for the first time',
  'wrong-pin': 'somebody guessed wrong at a PIN of the user',
  locked: 'after too many wrong guesses, PINs of the address open nothing for a while',
  'pin-issued': 'a PIN was made: for a session, for the address, or by the operator of the server',
  'session-revoked': 'a session was signed out; the event names that one',
  'file-deleted': 'a file went to the trash',
  'file-purged': 'a file of the trash was deleted for good, or all of them where no file is named',
  export: 'everything was asked for as one zip file',
  'damaged-read': 'a file was asked for and could not be read as it was uploaded: upload it again',
}

const kinds = Object.entries(KINDS).map(([kind, meaning]) => `- \`${kind}\`: ${meaning}`)

const idOrNull = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

export const ActivityList = Type.Object(
  {
    events: Type.Array(
      Type.Object(
        {
          id: Id,
          kind: Type.String({
            description: `What happened. There will be more kinds: show those that you do not know, too.\n\n${kinds.join('\n')}`,
            examples: ['new-device'],
          }),
          at: Type.String({ ...Timestamp, description: 'When; where several were counted, the first time.' }),
          address: Type.String({
            description:
              'The IP address of whoever did it; empty for the operator of the server, and where it is not known.',
            examples: ['192.0.2.7'],
          }),
          userAgent: Type.String({
            description:
              'As it was sent, cut to 256 characters; empty where there was none. Anybody can send anything.',
            examples: ['MyVault/1.4 (iPhone; iOS 26.1)'],
          }),
          sessionId: idOrNull('The session that did it, or that it was done to; where several were counted, the last.'),
          deviceId: Type.Union([ListedDevice, Type.Null()], {
            description:
              'The device that did it, or that it was done to: your own by its id, any other by a label of `~` and eight characters.',
          }),
          fileId: idOrNull(
            'The file that it was done to; where several were counted, the last. Of `damaged-read` each file is counted by itself.',
          ),
          count: Type.Integer({
            minimum: 1,
            description:
              'How often: the same again within an hour, on the same device and from one address, is counted and not listed. What comes from more than ten addresses is counted with the last of them. `new-device` and `locked` are listed each.',
          }),
        },
        { 'x-name': 'ActivityEvent', description: 'Something that happened to the account.' },
      ),
    ),
    nextCursor: NextCursor,
  },
  { 'x-name': 'ActivityList', description: 'One page of what happened, the last first.' },
)
