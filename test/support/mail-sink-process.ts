/** A mail server in its own process, so that its work does not slow down a test. Prints its port, then PINs. */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { SMTPServer } from 'smtp-server'

const server = new SMTPServer({
  key: readFileSync(join(import.meta.dirname, 'tls-key.pem')),
  cert: readFileSync(join(import.meta.dirname, 'tls-cert.pem')),
  onAuth: (_auth, _session, done) => done(null, { user: 'vault' }),
  async onData(stream, _session, done) {
    process.stdout.write(`PIN ${/\b\d{4}\b/.exec((await text(stream)).split('\r\n\r\n').slice(1).join())?.[0]}\n`)
    done()
  },
})
server.on('error', () => {})
server.listen(0, '0.0.0.0', () => process.stdout.write(`PORT ${(server.server.address() as AddressInfo).port}\n`))
