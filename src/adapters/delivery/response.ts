import type { PinDelivery } from '../../ports.ts'

/** PINs stand in the answer to whoever registers: for trying things out, and for networks where all are trusted. */
export function responseDelivery(): PinDelivery {
  return {
    mode: 'response',
    async deliver() {
      throw new Error('in response mode the PIN goes out with the answer')
    },
  }
}
