import { defineConfig } from 'vitest/config';

/** Programs on a real mount take longer than a unit does; a hang still ends. */
const endToEnd = { testTimeout: 120_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    restoreMocks: true,
    // Tests drive servers with the SDK itself; its notice about Node versions is not theirs.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,model,fuzz}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          setupFiles: ['test/fixtures/seed.ts'],
          // Half of the time goes by waiting for servers and processes of the tests.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Logins wait more than they work: two files at a time.
        test: {
          name: 'identity',
          include: ['test/identity/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          ...endToEnd,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/{e2e,docs,posix}/**/*.test.ts'],
          // Mounts wait more than they work, too; how fast one is belongs to the benchmarks.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
          ...endToEnd,
        },
      },
      {
        // Servers of others: `npm run test:servers`, never a part of `npm test`.
        test: {
          name: 'servers',
          include: ['test/servers/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 3 },
          ...endToEnd,
        },
      },
    ],
  },
});
