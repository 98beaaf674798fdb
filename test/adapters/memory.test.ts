import { memoryPendingPins } from '../../src/adapters/memory/pending-pins.ts'
import { pendingPinsContract } from '../contracts/pending-pins.ts'

pendingPinsContract('memory', async (clock) => memoryPendingPins(clock))
