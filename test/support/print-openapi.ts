/** Writes the OpenAPI document to the given path. Builds the app in a temporary folder and does not listen. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import { compose } from '../../src/compose/compose.ts'
import { httpRulesOf, rulesOf } from '../../src/compose/rules.ts'
import { readConfig } from '../../src/config/config.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { openVault } from '../../src/vault/vault.ts'

const [path] = process.argv.slice(2)
if (path === undefined) throw new Error('Usage: print-openapi.ts <path>')

const home = await mkdtemp(join(tmpdir(), 'minikeepsafe-openapi-'))
try {
  const config = readConfig({ DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads') })
  const log = pino({ level: 'silent' })
  const ports = await compose(config, log, Date.now, cryptographicChance)
  const app = await buildApp(await openVault(ports, rulesOf(config)), log, {
    ...httpRulesOf(config),
    limits: null,
    web: null,
  })
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `${JSON.stringify((await app.inject('/docs/json')).json(), null, 2)}\n`)
  await app.close()
} finally {
  await rm(home, { recursive: true, force: true })
}
