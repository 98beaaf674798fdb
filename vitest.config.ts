import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  // The web vault uses the client's sources.
  resolve: { alias: { '@minikeepsafe/client': join(import.meta.dirname, 'clients', 'typescript', 'src', 'index.ts') } },
  test: {
    include: ['test/**/*.test.ts', 'clients/*/test/**/*.test.ts', 'web/test/**/*.test.ts'],
    exclude: ['test/browser/**', 'web/test/browser/**', 'test/fuzz/**', 'test/slow/**', 'test/soak/**'],
    globalSetup: ['test/support/build.ts', 'test/support/memory-folder.ts'],
    setupFiles: ['test/support/matchers.ts'],
    testTimeout: 30_000,
    // A shared machine can stop for a second, and removing gigabytes takes seconds.
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    // Half of the time a test waits for disks, servers and timeouts. So three workers keep two cores busy.
    maxWorkers: Math.ceil(1.5 * availableParallelism()),
    // A worker loads the sources once, not once for each file. So a test leaves nothing behind in a module or in the process.
    isolate: false,
    coverage: {
      // CI runs everything once, and with coverage.
      enabled: Boolean(process.env.CI),
      provider: 'v8',
      include: ['src/**'],
      reporter: ['text', 'html'],
      // What the vault promises and how it is kept must be shown to the last line.
      thresholds: { 'src/vault/**': { lines: 100 }, 'src/adapters/**': { lines: 100 } },
    },
  },
})
