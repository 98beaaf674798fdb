import { describe, expect, it } from 'vitest'
import { mayHaveArrived, sleep, waitMs, wasRefusedForNow } from '../src/backoff.ts'
import { VaultError } from '../src/errors.ts'

const retry = { attempts: 8, baseMs: 500, maxMs: 30_000 }
const ms = (attempt: number, random: number, retryAfter: number | null = null) =>
  waitMs(attempt, { retryAfter }, retry, () => random)

const refusal = (status: number, code: VaultError['code']) => new VaultError(code, '', { status })

describe('a 503', () => {
  it('was not carried out, if the code does not say that it may have been', () => {
    const both = [refusal(503, 'not-ready'), refusal(503, 'outcome-unknown')]
    expect(both.map(wasRefusedForNow)).toEqual([true, false])
    expect(both.map(mayHaveArrived)).toEqual([false, true])
  })
})

describe('the wait before another attempt', () => {
  it('doubles up to its maximum', () => {
    expect([0, 1, 2, 5, 6, 20].map((attempt) => ms(attempt, 1))).toEqual([500, 1000, 2000, 16_000, 30_000, 30_000])
  })

  it('is at least half of that', () => {
    expect([0, 1, 20].map((attempt) => ms(attempt, 0))).toEqual([250, 500, 15_000])
  })

  it('is at least what the server asks for', () => {
    expect([ms(0, 0, 7), ms(5, 1, 7)]).toEqual([7000, 7500])
  })

  it('is none if the server asks for more than the maximum', () => {
    expect(ms(0, 0, 31)).toBe(null)
  })

  it('ends with an abort', async () => {
    const controller = new AbortController()
    const slept = sleep(60_000, controller.signal)
    controller.abort(new Error('enough'))
    await expect(slept).rejects.toThrow('enough')
    await expect(sleep(1, controller.signal)).rejects.toThrow('enough')
  })
})
