import { VaultError } from '@minikeepsafe/client'
import { useState } from 'preact/hooks'
import { serverNow } from '../state/server-time.ts'
import { failed } from '../state/session.ts'
import { useCountdown } from './use-countdown.ts'

export interface Sending {
  isBusy: boolean
  /** Why the server refused it, until the next try. */
  refusal: VaultError | null
  /** The server asked to wait: nothing is sent before. */
  waitMs: number
  /** `words` if that field of the request is wrong. */
  errorOf(field: string, words: string): string | undefined
  run(call: () => Promise<void>): Promise<void>
}

/** Sends a form: once at a time, and not before the server wants to be asked again. */
export function useSending(): Sending {
  const [isBusy, setBusy] = useState(false)
  const [refusal, setRefusal] = useState<VaultError | null>(null)
  const [until, setUntil] = useState<number | null>(null)
  const waitMs = useCountdown(until)
  return {
    isBusy,
    waitMs,
    refusal: refusal?.code === 'too-many-requests' && waitMs === 0 ? null : refusal,
    errorOf: (field, words) => (refusal?.errors.some(({ path }) => path === `/${field}`) ? words : undefined),
    async run(call) {
      if (isBusy || waitMs > 0) return
      setBusy(true)
      setRefusal(null)
      try {
        await call()
      } catch (error) {
        if (!(error instanceof VaultError)) return failed(error)
        setRefusal(error)
        if (error.retryAfter !== null) setUntil(serverNow() + error.retryAfter * 1000)
      } finally {
        setBusy(false)
      }
    },
  }
}
