import { expect, it } from 'vitest'
import { backgroundWork } from '../../src/vault/background.ts'

it('tells the operator what failed, and goes on', async () => {
  const alarms: string[] = []
  const { run, settled } = backgroundWork((error, doing) => alarms.push(`${doing}: ${(error as Error).message}`))
  run('sweeping', Promise.reject(new Error('disk on fire')))
  run('resting', Promise.resolve())
  await settled()
  expect(alarms).toEqual(['sweeping: disk on fire'])
})
