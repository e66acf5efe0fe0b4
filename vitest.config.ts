import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Examples import the package by its name, as its users do; here it is the source, whether it has been built or not.
  resolve: { alias: [{ find: /^sumi$/, replacement: new URL('./src/index.ts', import.meta.url).pathname }] },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.slow.test.ts'],
    testTimeout: 60_000,
    // Native sessions use both cores themselves; more workers only fight over them.
    pool: 'forks',
    maxWorkers: 2,
  },
});
