/** Measures `minikeepsafe-backup` on a folder of small files, compared with the raw client that sends as many bytes. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { createClient, memoryToken } from '../clients/typescript/src/node.ts'
import { rawCall } from './raw-client.ts'
import type { Compared } from './report.ts'
import type { Server } from './servers.ts'

const FILE_BYTES = 200 * 1024
/** As many as the command sends by itself. */
const PARALLEL = 4
/** The raw client sends one block for all files, with another beginning. */
const SERIAL_BYTES = 12

const block = randomBytes(FILE_BYTES - SERIAL_BYTES)

/** Each round has a new user for each side, so nothing is in the vault. */
export async function backupCompared(server: Server, folder: string, files: number, rounds: number): Promise<Compared> {
  const command = join(folder, 'backup.mjs')
  const entryPoints = ['clients/typescript/src/backup/main.ts']
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile: command })
  const photos = join(folder, 'photos')
  mkdirSync(photos)
  for (let n = 0; n < files; n += 1) writeFileSync(join(photos, `photo-${n}.jpg`), randomBytes(FILE_BYTES))
  const sides = {
    one: async () => timed(files, await backupOf(server, command, photos, join(folder, 'config'))),
    other: async () => timed(files, await rawUploads(server, files)),
  }
  await sides.one()
  await sides.other()
  const taken: Compared['rounds'] = []
  for (let round = 0; round < rounds; round += 1) {
    const first = round % 2 === 0 ? await sides.other() : null
    const one = await sides.one()
    taken.push({ one, other: first ?? (await sides.other()) })
  }
  return { title: `backup of ${files} × 200 KiB / raw PUTs`, rounds: taken, aim: ['≥', 0.8] }
}

async function timed(files: number, run: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await run()
  return files / ((performance.now() - startedAt) / 1000)
}

/** The whole command: its start, reading the folder, hashing, asking what is there, sending. */
async function backupOf(server: Server, command: string, photos: string, config: string) {
  const { client } = await newUser(server)
  const { text } = await client.pair()
  rmSync(config, { recursive: true, force: true })
  return async () => {
    const env = { ...process.env, XDG_CONFIG_HOME: config }
    const child = spawn(process.execPath, [command, photos, '--pair', text], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`the backup ended with ${code}`)
  }
}

async function rawUploads(server: Server, files: number) {
  const { authorization } = await newUser(server)
  return async () => {
    let next = 0
    const lane = async () => {
      while (next < files) {
        const serial = String(next++).padEnd(SERIAL_BYTES)
        const path = `/v1/files/photo-${serial.trim()}.jpg`
        await rawCall(server.port, { method: 'PUT', path, headers: { authorization }, before: serial, block, times: 1 })
      }
    }
    await Promise.all(Array.from({ length: PARALLEL }, lane))
  }
}

async function newUser({ port }: Server) {
  const token = memoryToken()
  const client = createClient({ baseUrl: `http://127.0.0.1:${port}`, token })
  const registered = await client.register({ name: 'Bench', email: `${randomBytes(8).toString('hex')}@example.org` })
  if (!('pin' in registered)) throw new Error('the server shows no PINs')
  await client.signIn({ deviceId: registered.deviceId, pin: registered.pin })
  return { client, authorization: `Bearer ${await token.get()}` }
}
