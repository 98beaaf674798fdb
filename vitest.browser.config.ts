import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts', 'web/test/browser/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/run-folder.ts'],
    setupFiles: ['test/support/matchers.ts'],
    testTimeout: 120_000,
    // A shared machine can stop for a second, and removing gigabytes takes seconds.
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
  },
})
