/** A server with metrics, and what a scrape of it finds. */
import type { HttpRules } from '../../src/app.ts'
import { type TestApp, testApp } from './app.ts'
import { call } from './http.ts'

export interface MeasuredApp {
  app: TestApp
  /** The address of the metrics. */
  url: string
  scrape(): Promise<Scrape>
}

export interface Scrape {
  text: string
  /** The value of a series, such as `name{label="value"}`, with its labels in the order of the text. Undefined if it is absent. */
  of(series: string): number | undefined
}

/** Figures are asked for at each scrape. */
export async function measuredApp(
  settings: Record<string, string> = {},
  http: Partial<HttpRules> = {},
  token: string | null = null,
): Promise<MeasuredApp> {
  const metrics = { host: '127.0.0.1', port: 0, token, figuresMs: 0 }
  const app = await testApp(settings, undefined, { metrics, ...http })
  const url = metricsUrlIn(app.log.join('\n'))
  return { app, url, scrape: () => scraped(url) }
}

/** The address in the log of a server. */
export function metricsUrlIn(log: string): string {
  const [, url] = /metrics at (http:[^"\s]+)/.exec(log) ?? []
  if (!url) throw new Error('the server has logged no address of metrics')
  return url
}

export async function scraped(url: string): Promise<Scrape> {
  const { status, body } = await call(url)
  if (status !== 200) throw new Error(`the scrape was answered with ${status}`)
  const text = String(body)
  const values = new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
  return { text, of: (series) => values.get(series) }
}
