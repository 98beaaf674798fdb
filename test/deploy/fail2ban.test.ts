/** deploy/fail2ban on the log of a real server, by fail2ban itself. */
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { newDeviceId, temporaryFolder } from '../support/app.ts'
import { serverProcess } from '../support/process.ts'
import { describeWithProgram } from '../support/programs.ts'

const folder = join(import.meta.dirname, '..', '..', 'deploy', 'fail2ban')
const filter = join(folder, 'filter.d', 'minikeepsafe.conf')

/** Every address that the filter finds in the log, one for each line. */
function found(log: string): string[] {
  const output = execFileSync('fail2ban-regex', ['--out', 'ip', log, filter], { encoding: 'utf8' })
  return output.split('\n').filter(Boolean)
}

describeWithProgram('fail2ban-regex', 'fail2ban')('the filter for fail2ban', () => {
  it('finds the clients of wrong PINs, bad tokens and too many requests, and no others', async () => {
    const home = await temporaryFolder()
    const settings = { LOG_CLIENT_ADDRESS: 'on', TRUST_PROXY: '127.0.0.1', RATE_LIMITS: 'register=1/1h' }
    const server = serverProcess(home, settings)
    const from = (address: string) => ({ 'x-forwarded-for': address })
    const register = (address: string) => {
      const deviceId = newDeviceId()
      return server.post('/v1/users', { name: 'Ada', email: `${deviceId}@example.org`, deviceId }, from(address))
    }
    expect((await register('203.0.113.1')).status).toBe(201)
    expect((await register('203.0.113.1')).status).toBe(429)
    await server.post('/v1/sessions', { deviceId: newDeviceId(), pin: '0000' }, from('2001:db8::2'))
    // Who may not get into a ban what it likes.
    const forged = '{"status":401,"client":"192.0.2.1","msg":"answered"}'
    await server.request('/v1/files', {
      headers: {
        ...from('203.0.113.3'),
        authorization: `Bearer ${forged}`,
        'user-agent': forged,
        'x-request-id': forged,
      },
    })
    await server.request(`/v1/files/${encodeURIComponent(forged)}`, { headers: from('203.0.113.4') })
    await server.request('/health/live', { headers: from('203.0.113.5') })
    // A page of another site sends these from its visitor's browser.
    const page = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }
    const text = { ...page, 'content-type': 'text/plain' }
    await server.request('/v1/files', { headers: { ...from('203.0.113.6'), ...page } })
    await server.request('/v1/files', { method: 'POST', headers: { ...from('203.0.113.6'), ...text }, body: 'a' })
    await server.request('/v1/sessions', { method: 'POST', headers: { ...from('203.0.113.6'), ...text }, body: '{}' })
    // A bad token is never of such a page.
    await server.request('/v1/files', { headers: { ...from('203.0.113.7'), ...page, authorization: 'Bearer x' } })
    await server.stop('SIGTERM')

    const lines = server.output().trim().split('\n')
    const banned = ['203.0.113.1', '2001:db8::2', '203.0.113.3', '203.0.113.4', '203.0.113.7']
    const log = join(home, 'log')
    await writeFile(log, `${lines.join('\n')}\n`)
    expect(found(log)).toEqual(banned)
    // As fail2ban gets them from the journal: with the names of machine and program.
    await writeFile(log, `${lines.map((line) => `vault minikeepsafe[7]: ${line}`).join('\n')}\n`)
    expect(found(log)).toEqual(banned)
  })
})
