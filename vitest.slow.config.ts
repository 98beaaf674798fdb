import { defineConfig } from 'vitest/config'

/** What takes minutes: run once in CI, after the build. */
export default defineConfig({
  test: {
    include: ['test/slow/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/run-folder.ts'],
    setupFiles: ['test/support/matchers.ts'],
    maxWorkers: 2,
    testTimeout: 60_000,
    // A shared machine can stop for a second, and removing gigabytes takes seconds.
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
  },
})
