import { defineConfig } from 'vitest/config'

/** Minutes or hours of use, with faults: test/soak/README.md. */
export default defineConfig({
  test: {
    include: ['test/soak/**/*.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/run-folder.ts'],
    // The certificate of the tests is self-signed.
    env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    disableConsoleIntercept: true,
    testTimeout: 0,
    hookTimeout: 120_000,
  },
})
