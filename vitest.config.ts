import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.slow.test.ts'],
    testTimeout: 60_000,
    // Native sessions use both cores themselves; more workers only fight over them.
    pool: 'forks',
    maxWorkers: 2,
  },
});
