import { defineConfig } from 'vitest/config';

/** Files that put other modules in the place of real ones, which must not reach the files after them. */
const MOCKING = ['test/engine/residents.test.ts'];

const SLOW = 'test/**/*.slow.test.ts';

export default defineConfig({
  // Examples import the package by its name, as its users do; here it is the source, whether it has been built or not.
  resolve: { alias: [{ find: /^sumi$/, replacement: new URL('./src/index.ts', import.meta.url).pathname }] },
  test: {
    testTimeout: 60_000,
    // Native sessions use both cores themselves; more workers only fight over them.
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      // Loading tfjs and the engine for each file anew took a sixth of the time.
      {
        extends: true,
        test: { name: 'sumi', include: ['test/**/*.test.ts'], exclude: [SLOW, ...MOCKING], isolate: false },
      },
      { extends: true, test: { name: 'mocking', include: MOCKING } },
    ],
  },
});
