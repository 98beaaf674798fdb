/** Five weeks in the life of a vault, in minutes (README.md in this folder). */
import { expect, it } from 'vitest'
import { describeCluster } from '../support/cluster.ts'
import { embedded } from './embedded.ts'
import { many } from './many.ts'
import { soak } from './run.ts'
import { MINUTES } from './settings.ts'

const HAS_ENGINES = ['TEST_DATABASE_URL', 'TEST_REDIS_URL', 'TEST_S3_ENDPOINT', 'TEST_NGINX'].every(
  (name) => process.env[name],
)
const minutes = HAS_ENGINES ? MINUTES / 2 : MINUTES

it('keeps everything for five weeks with SQLite and a disk', async () => {
  expect((await soak(embedded, minutes)).length, 'violations').toBe(0)
})

describeCluster('with PostgreSQL, Redis, S3 and nginx', () => {
  it('keeps everything for five weeks', async () => {
    expect((await soak(many, minutes)).length, 'violations').toBe(0)
  })
})
