/** What tfjs-node lacks, with tfjs-cpu under its name and the same thing missing. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import { tf } from '../../src/engine/tf.js';
import { maxError } from './helpers.js';
import { cases, withGradients } from './op-cases.js';

/** As tfjs-node's kernels say it. */
function refuse(attrs: unknown): void {
  const { pad } = attrs as { pad: unknown };
  if (Array.isArray(pad) && pad.flat().some((p) => p > 0))
    throw new Error("TF Backend supports only 'valid' and 'same' padding while padding was EXPLICIT");
}

beforeAll(() => {
  tf.registerBackend('tensorflow', () => tf.findBackendFactory('cpu')() as never);
  for (const kernel of tf.getKernelsForBackend('cpu')) {
    const gradient = kernel.kernelName.startsWith('Conv2DBackprop');
    tf.registerKernel({
      ...kernel,
      backendName: 'tensorflow',
      kernelFunc: (given) => {
        if (gradient) refuse(given.attrs);
        return kernel.kernelFunc(given);
      },
    });
  }
});
afterAll(() => tf.removeBackend('tensorflow'));

const padded = cases.filter(([name]) => /^conv2d|^fir/.test(name));

it.each(padded)('has gradients on the tensorflow engine: %s', async (_, f, inputs) => {
  const [compiled, eager] = [
    new Compiled(withGradients(f), { threads: 1 }),
    new Compiled(withGradients(f), { engine: 'tensorflow' }),
  ];
  const [want, got] = [await compiled.run(inputs), await eager.run(inputs)];
  for (const name of Object.keys(want)) expect(maxError(got[name], want[name]), name).toBeLessThan(1e-4);
  await compiled.dispose();
  await eager.dispose();
});
