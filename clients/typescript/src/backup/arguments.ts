/** The command line. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

export const USAGE = `Usage: minikeepsafe-backup DIR [options]

Sends every file of the folder DIR and its subfolders whose bytes the vault does not have. Run it again at any time: it sends
only what is missing. It deletes nothing. Folders become part of the name: 2026/trip/a.jpg is "2026 - trip - a.jpg".

Sign in, once:
  --pair TEXT        the text of a pairing picture, from a signed-in device
  --server URL       the server, for a PIN from elsewhere
  --device-id ID     the device id of that PIN; without it, one is made and shown
  --pin PIN          the PIN; without it, it is asked for, or read from MINIKEEPSAFE_PIN
  --device-name TEXT the name in the list of devices (this computer's name)
  --token-file PATH  where the session is kept (~/.config/minikeepsafe/backup.json)

Files:
  --replace          replace a file that has changed (the former version goes to the trash); else it is stored as "a (1).jpg"
  --hidden           also files and folders whose names begin with a dot
  --parallel N       how many files at a time, 1 to 16 (4)

Exit codes: 0 everything is in the vault, 1 some files failed, 2 it could not begin, 130 interrupted.
`

export interface Arguments {
  folder: string
  pair: string | undefined
  server: string | undefined
  deviceId: string | undefined
  pin: string | undefined
  deviceName: string | undefined
  tokenFile: string
  replace: boolean
  hidden: boolean
  parallel: number
}

/** A mistake of the user. Its message is for them. */
export class UsageError extends Error {}

/** `null` for `--help`. */
export function argumentsIn(args: string[], env: NodeJS.ProcessEnv): Arguments | null {
  const { values, positionals } = parsed(args)
  if (values.help) return null
  const [folder, ...others] = positionals
  if (folder === undefined || others.length > 0) throw new UsageError('Name one folder.')
  const parallel = Number(values.parallel)
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > 16) throw new UsageError('--parallel is 1 to 16.')
  const config = env.XDG_CONFIG_HOME || join(homedir(), '.config')
  return {
    folder,
    ...{ pair: values.pair, server: values.server, pin: values.pin ?? env.MINIKEEPSAFE_PIN },
    ...{ deviceId: values['device-id'], deviceName: values['device-name'] },
    tokenFile: values['token-file'] ?? join(config, 'minikeepsafe', 'backup.json'),
    ...{ replace: values.replace, hidden: values.hidden, parallel },
  }
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...{ pair: { type: 'string' }, server: { type: 'string' }, pin: { type: 'string' } },
        ...{ 'device-id': { type: 'string' }, 'device-name': { type: 'string' }, 'token-file': { type: 'string' } },
        replace: { type: 'boolean', default: false },
        hidden: { type: 'boolean', default: false },
        parallel: { type: 'string', default: '4' },
        help: { type: 'boolean', default: false, short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
