import { defineConfig } from 'vitest/config'

/** A minute of requests that nobody would write by hand: run once in CI, after the build. */
export default defineConfig({
  test: {
    include: ['test/fuzz/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/memory-folder.ts'],
    setupFiles: ['test/support/matchers.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    // A shared machine can stop for a second, and removing gigabytes takes seconds.
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
  },
})
