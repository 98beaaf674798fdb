import { describe, expect, it, onTestFinished } from 'vitest'
import { overloadCheck } from '../../src/plugins/overload.ts'
import { form, member, testApp } from '../support/app.ts'

const RULES = { everyMs: 20, lateMs: 100, times: 3 }

describe('the check of overload', () => {
  it('finds nothing after one pause of the event loop, however long', () => {
    const check = overloadCheck(RULES)
    expect([5, 60_000, 5, 5].map(check)).toEqual([false, false, false, false])
  })

  it('finds an event loop that is late again and again, until it was punctual as often', () => {
    const check = overloadCheck(RULES)
    const found = [200, 200, 200, 5, 5, 200, 5, 5, 5].map(check)
    expect(found).toEqual([false, false, true, true, true, true, true, false, false])
  })
})

describe('a server whose event loop falls behind', { timeout: 60_000 }, () => {
  it('refuses new uploads of each kind and answers reads, until it has caught up', async () => {
    const app = await testApp({}, undefined, { overload: RULES })
    const ada = await member(app)
    const put = async () => (await ada.put('file', 'bytes')).status
    const patient = { timeout: 20_000 }
    await expect.poll(put, patient).toBeLessThan(300)

    const blocking = setInterval(() => {
      const end = performance.now() + 150
      while (performance.now() < end);
    }, 1)
    onTestFinished(() => clearInterval(blocking))
    await expect.poll(put, patient).toBe(503)
    const [plain, byForm, begun, read] = await Promise.all([
      ada.put('file', 'bytes'),
      ada.request('/v1/files', { method: 'POST', ...form([{ name: 'file', filename: 'form', content: 'bytes' }]) }),
      ada.request('/v1/uploads', { method: 'POST', headers: { 'tus-resumable': '1.0.0', 'upload-length': '1' } }),
      ada.get('file'),
    ])
    for (const refused of [plain, byForm, begun]) {
      expect(refused).toBeProblem(503, 'not-ready')
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    }
    expect([read.status, read.body]).toEqual([200, 'bytes'])

    clearInterval(blocking)
    await expect.poll(put, patient).toBeLessThan(300)
    const lines = app.log.filter((line) => line.includes('new uploads and appends are'))
    // Another pause of the machine may add a pair.
    expect(lines.length % 2).toBe(0)
    expect(lines[0]).toContain('the event loop falls behind: new uploads and appends are refused')
    expect(lines.at(-1)).toContain('new uploads and appends are accepted again')
    expect(app.log.join('\n')).not.toContain('The server cannot do its work')
  })
})
