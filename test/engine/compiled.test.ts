import { describe, it } from 'vitest';
import { expectSame } from './helpers.js';
import { cases, noGradient, withGradients } from './op-cases.js';

describe('compiled equals eager', () => {
  for (const [name, f, inputs] of cases) {
    it(name, async () => {
      await expectSame((x) => ({ y: f(x) }), inputs);
      if (!noGradient.has(name)) await expectSame(withGradients(f), inputs, 1e-4);
    });
  }
});
