export interface MetricsRules {
  host: string
  /** 0 for a free one. */
  port: number
  /** `null`: everyone who reaches the port may read the metrics. */
  token: string | null
  /** For how long a number from the database is kept. */
  figuresMs: number
}
