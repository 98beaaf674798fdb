import { expect } from 'vitest'
import type { S3Settings } from '../../src/adapters/s3/connection.ts'
import { command } from './process.ts'
import { s3Environment, unfinishedIn } from './s3.ts'

/** Without running servers: sweeps, and checks that every named blob is sound, and that nothing else is left in the bucket. */
export async function expectSound(folder: string, settings: Record<string, string>, bucket: S3Settings) {
  const beside = { ...settings, ...s3Environment(bucket) }
  const swept = await command(folder, ['sweep'], beside)
  expect(swept).toMatchObject({ code: 0, report: { garbage: 0, runs: 0 } })
  const { code, report } = await command(folder, ['verify'], beside)
  const { files, blobs, ...found } = report as { files: number; blobs: number }
  expect({ code, ...found }).toMatchObject({ code: 0, damaged: [], missing: [], orphans: [], slots: [], usage: [] })
  // A file of several appends has several blobs.
  expect(blobs).toBeGreaterThanOrEqual(files)
  expect(await unfinishedIn(bucket)).toEqual([])
}
