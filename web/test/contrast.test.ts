/** The contrasts that README.md states, from the colours of the page. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const folder = join(import.meta.dirname, '..')
const css = readFileSync(join(folder, 'src/styles/tokens.css'), 'utf8')
const [light = '', dark = ''] = css.split('@media (prefers-color-scheme: dark)')

const PAIRS: Record<string, [string, string, number]> = {
  'ink on paper': ['ink', 'page', 4.5],
  'soft ink on paper': ['ink-soft', 'page', 4.5],
  'green on paper': ['accent', 'page', 4.5],
  'text on green': ['accent-ink', 'accent', 4.5],
  'red on a surface': ['danger', 'surface', 4.5],
  // What is not text needs less (WCAG 2.2, 1.4.11).
  'the edge of a field on a surface': ['edge', 'surface', 3],
}

it.each(Object.entries(PAIRS))('%s can be read, and README.md has the number', (what, [front, back, least]) => {
  const ratios = [light, dark].map((scheme) => contrast(colour(scheme, front), colour(scheme, back)))
  expect(Math.min(...ratios)).toBeGreaterThanOrEqual(least)
  const row = `| ${what} | ${ratios.map((ratio) => `${ratio.toFixed(1)} : 1`).join(' | ')} |`
  expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(row)
})

function colour(scheme: string, name: string): number[] {
  const hex = new RegExp(`--${name}: #([0-9a-f]{6});`).exec(scheme)?.[1] ?? ''
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
}

/** WCAG 2.2, "contrast ratio". */
function contrast(one: number[], other: number[]): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

/** WCAG 2.2, "relative luminance", of sRGB. */
function luminance(channels: number[]): number {
  const [red = 0, green = 0, blue = 0] = channels.map((value) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
