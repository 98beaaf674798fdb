import { allUsers } from '../vault/operator/operator.ts'
import { bytesText, type Command, counted, withPorts } from './command.ts'

export const users: Command = {
  summary: 'list users with their usage and last activity',
  operands: [],
  options: { addresses: { type: 'boolean', default: false } },
  help: `Lists all users by id: files, files in the trash, the bytes of both and of unfinished uploads, sessions, the time of
registration, and the last use of a session (to a minute). Mail addresses are personal, so only --addresses shows them. Needs no master key.`,

  run: ({ config, options }) =>
    withPorts(config, async (ports) => {
      const users = []
      const lines = []
      for await (const { email, createdAt, lastSeenAt, ...user } of allUsers(ports.users)) {
        const times = { createdAt: textOf(createdAt), lastSeenAt: textOf(lastSeenAt) }
        const address = options.addresses === true ? { email } : {}
        users.push({ ...user, ...address, ...times })
        const { id, files, trashFiles, bytes, sessions } = user
        const uses = `${counted(files, 'file')}, ${trashFiles} in the trash, ${bytesText(bytes)}, ${counted(sessions, 'session')}`
        lines.push([id, ...Object.values(address), uses, `last seen ${times.lastSeenAt}`].join('  '))
      }
      return { ok: true, report: { ok: true, users }, lines: [...lines, counted(users.length, 'user')] }
    }),
}

function textOf(time: number): string {
  return new Date(time).toISOString()
}
