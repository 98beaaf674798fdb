import { expect, it } from 'vitest'
import { progressBar } from '../../src/commands/progress.ts'

function terminal(isTTY: boolean) {
  const written: string[] = []
  return { written, out: { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream }
}

it('shows at a terminal how far the work has come, and leaves nothing there', () => {
  const { written, out } = terminal(true)
  const bar = progressBar(out, 1000)
  bar.add(250)
  bar.clear()
  expect(written).toEqual([`\r[${'#'.repeat(8)}${' '.repeat(22)}]  25 %`, '\r\x1b[K'])
})

it.each([
  [false, 1000],
  [true, 0],
])('shows nothing of short work where nobody watches, or if nothing is to be done', (isTTY, total) => {
  const { written, out } = terminal(isTTY)
  const bar = progressBar(out, total)
  bar.add(10)
  bar.clear()
  expect(written).toEqual([])
})

it('writes a line from time to time where there is no terminal', () => {
  const { written, out } = terminal(false)
  let now = 1000
  const bar = progressBar(out, 1000, () => now)
  for (const ms of [29_000, 1000, 29_000, 1000]) {
    now += ms
    bar.add(200)
  }
  bar.clear()
  expect(written).toEqual(['minikeepsafe: 40 %\n', 'minikeepsafe: 80 %\n'])
})
