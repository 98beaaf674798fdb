import { expect, it } from 'vitest'
import { openBackgroundWork } from '../../src/vault/background.ts'

it('tells the operator what failed, and goes on', async () => {
  const alarms: string[] = []
  const alarm = (error: unknown, doing: string) => void alarms.push(`${doing}: ${(error as Error).message}`)
  const { run, settled } = openBackgroundWork({ ports: { alarm } })
  run('sweeping', Promise.reject(new Error('disk on fire')))
  run('resting', Promise.resolve())
  await settled()
  expect(alarms).toEqual(['sweeping: disk on fire'])
})
