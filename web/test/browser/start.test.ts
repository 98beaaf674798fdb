import { expect, it } from 'vitest'
import { openStage, signIn } from './stage.ts'

it('asks a stranger to sign in, and shows a member the vault', async () => {
  const stage = await openStage()
  stage.allowErrors(/401/)
  await stage.page.getByRole('heading', { name: 'Open your vault' }).waitFor()
  await stage.shot('sign-in')

  await signIn(stage)
  await stage.page.getByRole('heading', { name: 'Photos' }).waitFor()
  await stage.shot('empty')
  expect(await stage.page.evaluate('document.cookie')).toBe('')
})
