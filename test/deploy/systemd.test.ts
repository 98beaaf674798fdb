/** deploy/systemd as systemd reads it. `.ci/systemd` runs it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, it } from 'vitest'
import { ConfigSchema } from '../../src/config/schema.ts'
import { describeWithProgram } from '../support/programs.ts'

const folder = join(import.meta.dirname, '..', '..', 'deploy', 'systemd')
const units = readdirSync(folder)
  .filter((name) => /\.(?:service|timer)$/.test(name))
  .map((name) => join(folder, name))
const services = units.filter((path) => path.endsWith('.service')).map((path) => basename(path))

describeWithProgram('systemd-analyze', 'systemd')('the units for systemd', () => {
  it('are correct', () => {
    expect(units).toHaveLength(5)
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], {
      encoding: 'utf8',
    })
    // It also reports errors in units of this machine.
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('minikeepsafe'))
    expect([ours, status]).toEqual([[], 0])
  })

  it.each(services)('confine %s: an exposure under 2', (name) => {
    const args = ['security', '--offline=true', '--no-pager', join(folder, name)]
    const report = execFileSync('systemd-analyze', args, { encoding: 'utf8' })
    expect(Number(/Overall exposure level for \S+: ([\d.]+)/.exec(report)?.[1])).toBeLessThan(2)
  })

  it('let running transfers finish', () => {
    const unit = readFileSync(join(folder, 'minikeepsafe-server.service'), 'utf8')
    const { SHUTDOWN_GRACE_SECONDS } = ConfigSchema.properties as Record<string, { default?: number }>
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(SHUTDOWN_GRACE_SECONDS?.default ?? 10)
  })
})
