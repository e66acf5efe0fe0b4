/** The paper's own size: 31 million weights on 572×572 pixels, compiled. */
import { expect, it } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import type { Params } from '../../src/engine/params.js';
import { initParams, viewParams } from '../../src/engine/params.js';
import type { Feed } from '../../src/engine/session.js';
import type { Tensor, Tensor4D } from '../../src/engine/tf.js';
import { Random } from '../../src/random.js';
import { classicUNet, classicUNetSpecs, parseClassicUNetConfig } from '../../src/unet/index.js';
import { feed } from '../engine/helpers.js';

it.each([572, 573])('segments %i pixels a side at full width', async (side) => {
  const config = parseClassicUNetConfig({});
  const specs = classicUNetSpecs(config);
  const views = viewParams(specs, initParams(specs, new Random(1)));
  const constants = Object.fromEntries(
    specs.map(({ name, shape }): [string, Feed] => [name, { data: views[name], shape, dtype: 'float32' }]),
  );
  const fn = ({ sample, ...params }: Record<string, Tensor>) => ({
    logits: classicUNet(config, params as Params, sample as Tensor4D, { training: false }).logits,
  });
  const compiled = new Compiled(fn, { constants });
  try {
    const started = performance.now();
    const { logits } = await compiled.run({ sample: feed([1, side, side, 3], 1) });
    if (process.env.SUMI_SHOW_ERRORS)
      console.log(`first run ${((performance.now() - started) / 1000).toFixed(1)} s`);
    expect(logits.length).toBe(side * side * 2);
    expect((logits as Float32Array).every(Number.isFinite)).toBe(true);
    expect(new Set((logits as Float32Array).slice(0, 1000)).size).toBeGreaterThan(900);
  } finally {
    await compiled.dispose();
  }
});
