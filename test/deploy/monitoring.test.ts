import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { measuredApp } from '../support/metrics.ts'
import { alertNames, dashboardQueries, MONITORING } from '../support/monitoring.ts'
import { describeWithProgram, outputOf } from '../support/programs.ts'

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'metrics.md'), 'utf8')

/** The name and type of each metric that a row of the page describes. */
function describedMetrics(): string[] {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => {
    const [, names = '', type] = row.split('|').map((cell) => cell.trim())
    return [...names.matchAll(/`(\w+)`/g)].map(([, name]) => `${name} ${type}`)
  })
}

describe('the page about metrics', () => {
  it('describes every metric with its type, and no other', async () => {
    const { text } = await (await measuredApp()).scrape()
    const scraped = [...text.matchAll(/^# TYPE (\w+ \w+)$/gm)].map(([, metric]) => metric)
    expect(describedMetrics().sort()).toEqual(scraped.sort())
  })

  it('says of every alert what to do', () => {
    const described = [...page.matchAll(/^\| (Minikeepsafe\w+) \|/gm)].map(([, name]) => name)
    expect(described).toEqual(alertNames())
  })
})

it('the dashboard and the alerts use only metrics that exist', async () => {
  const { text } = await (await measuredApp()).scrape()
  const names = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name))
  const rules = readFileSync(join(MONITORING, 'alerts.yml'), 'utf8')
  const used = [...dashboardQueries(), rules].join('\n').matchAll(/\b(?:minikeepsafe|nodejs|process)_\w+/g)
  const unknown = [...used].map(([name]) => name).filter((name) => !names.has(name.replace(/_(?:bucket|sum)$/, '')))
  expect(unknown).toEqual([])
})

describeWithProgram('promtool', 'prometheus')('promtool', () => {
  it.each([
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'alerts.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ])('accepts %s %s %s', async (verb, kind, file) => {
    expect(String(await outputOf('promtool', [verb, kind, join(MONITORING, file)]))).toContain('SUCCESS')
  })

  it('tests every alert', () => {
    const tests = readFileSync(join(MONITORING, 'alerts.test.yml'), 'utf8')
    const fired = [...tests.matchAll(/alertname: (\w+),?\s+exp_alerts:/g)].map(([, name]) => name)
    expect([...new Set(fired)].sort()).toEqual(alertNames().sort())
  })
})
