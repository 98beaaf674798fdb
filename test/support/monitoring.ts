/** The files of deploy/monitoring, and a real Prometheus that uses them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { temporaryFolder } from './app.ts'
import { freePort } from './engines.ts'
import { call } from './http.ts'

export const MONITORING = join(import.meta.dirname, '..', '..', 'deploy', 'monitoring')

interface Panel {
  title: string
  targets?: { expr: string }[]
}

/** Every query of the dashboard, for all servers. */
export function dashboardQueries(): string[] {
  const path = join(MONITORING, 'grafana', 'dashboards', 'minikeepsafe.json')
  const { panels } = JSON.parse(readFileSync(path, 'utf8')) as { panels: Panel[] }
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  return queries.map((query) => query.replaceAll(/\$(?:job|instance)\b/g, '.*').replaceAll('$__rate_interval', '20s'))
}

export function alertNames(): string[] {
  const rules = readFileSync(join(MONITORING, 'alerts.yml'), 'utf8')
  return [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name as string)
}

export interface Prometheus {
  /** The names of the alerts that fire now. */
  firing(): Promise<string[]>
  /** The values that the query has now, without those that are no number. */
  ask(query: string): Promise<number[]>
}

/**
 * Scrapes and evaluates every second, with the rules of deploy/monitoring. Only their `for` is removed, so an alert fires as soon
 * as its condition is true. `targets` has one vault for each job.
 */
export async function prometheus(targets: Record<string, string>): Promise<Prometheus> {
  const folder = await temporaryFolder()
  const file = (name: string) => readFileSync(join(MONITORING, name), 'utf8')
  const jobs = Object.entries(targets).map(
    ([job, target]) => `  - job_name: ${job}\n    static_configs:\n      - targets: ['${target}']\n`,
  )
  const config = file('prometheus.yml')
    .replaceAll(/_interval: 15s/g, '_interval: 1s')
    .replace(/(?<=scrape_configs:\n).*/s, jobs.join(''))
  await writeFile(join(folder, 'prometheus.yml'), config)
  await writeFile(join(folder, 'alerts.yml'), file('alerts.yml').replaceAll(/^ +for: .*\n/gm, ''))
  const port = await freePort()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk
  })
  const ended = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const get = async (path: string) => {
    const { status, body } = await call(`http://127.0.0.1:${port}${path}`)
    if (status !== 200) throw new Error(`Prometheus answered with ${status}: ${JSON.stringify(body)} ${log}`)
    return body
  }
  await expect.poll(() => get('/-/ready').then(String, String), { timeout: 20_000 }).toContain('Ready')

  return {
    async firing() {
      const { data } = (await get('/api/v1/alerts')) as {
        data: { alerts: { state: string; labels: { alertname: string } }[] }
      }
      return data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)
    },

    async ask(query) {
      const { data } = (await get(`/api/v1/query?query=${encodeURIComponent(query)}`)) as {
        data: { result: { value: [number, string] }[] }
      }
      return data.result.map(({ value }) => Number(value[1])).filter((value) => !Number.isNaN(value))
    },
  }
}
