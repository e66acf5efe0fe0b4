/** What each provider is asked for: graphs that WebGPU's runs well and rightly, and errors that say what to do. */
import { describe, expect, it } from 'vitest';
import { graphOf, type TensorFunction } from '../../src/engine/compile.js';
import { type LowerOptions, lower } from '../../src/engine/lower/index.js';
import { encodeModel, nodeName } from '../../src/engine/onnx.js';
import { executionProviders, loweringFor, nodesForCpu, providerError } from '../../src/engine/providers.js';
import { type Feed, Session } from '../../src/engine/session.js';
import { type Tensor4D, tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { feed, maxError } from './helpers.js';
import { cases, withGradients } from './op-cases.js';

const modelOf = (fn: TensorFunction, inputs: Record<string, Feed>, options: LowerOptions) =>
  lower(graphOf(fn, inputs), options);

async function onCpu(fn: TensorFunction, inputs: Record<string, Feed>, options: LowerOptions) {
  const session = await Session.create(encodeModel(modelOf(fn, inputs, options)), { threads: 1 });
  try {
    return await session.run(inputs);
  } finally {
    await session.dispose();
  }
}

const caseOf = (wanted: string) => cases.find(([name]) => name === wanted)!;

describe('graphs for WebGPU', () => {
  const webgpu = loweringFor('webgpu');

  it.each(['matMul, batched', 'linear', 'attention', 'silu', 'groupNorm'])(
    'hold standard operators only: %s and its gradient',
    (wanted) => {
      const [, f, inputs] = caseOf(wanted);
      const domains = (options: LowerOptions) =>
        modelOf(withGradients(f), inputs, options).nodes.map((n) => n.domain);
      expect(new Set(domains(webgpu))).toEqual(new Set(['']));
      if (wanted !== 'groupNorm') expect(domains(loweringFor('cuda'))).toContain('com.microsoft');
    },
  );

  it.each([
    'groupNorm',
    'groupNorm of tokens',
    'groupNorms of two epsilons',
    'groupNorm far from zero',
    'layerNorm',
    'layerNorm of a picture',
    'layerNorm far from zero',
  ])('normalize with care, to the same result: %s', async (wanted) => {
    const [, f, inputs] = caseOf(wanted);
    const fn = withGradients(f);
    const operators = modelOf(fn, inputs, webgpu).nodes.map((n) => n.op);
    expect(operators).not.toContain('InstanceNormalization');
    const norm = modelOf(fn, inputs, webgpu).nodes.find((n) => n.op === 'LayerNormalization')!;
    const made = new Map(modelOf(fn, inputs, webgpu).nodes.map((n) => [n.outputs[0], n.op]));
    expect(made.get(norm.inputs[0])).toBe('Sub');
    const [want, got] = [await onCpu(fn, inputs, {}), await onCpu(fn, inputs, webgpu)];
    for (const name of Object.keys(want)) expect(maxError(got[name], want[name]), name).toBeLessThan(1e-5);
  });
});

it('keeps sines and the indices of maxima on the CPU', () => {
  const fn: TensorFunction = ({ x }) => {
    const y = (v: Tensor4D) => tf.maxPool(tf.add(tf.sin(v), tf.cos(v)) as Tensor4D, 2, 2, 'valid');
    return { y: y(x as Tensor4D), dx: tf.grad((v) => tf.sum(y(v as Tensor4D)))(x) };
  };
  const model = modelOf(fn, { x: feed([1, 4, 4, 2], 1) }, loweringFor('webgpu'));
  const kept = model.nodes.filter((n, i) => nodesForCpu(model).includes(nodeName(n, i)));
  expect(new Set(kept.map((n) => n.op))).toEqual(new Set(['Sin', 'Cos', 'MaxPool']));
  for (const n of model.nodes.filter(({ op }) => op === 'MaxPool'))
    expect(kept.includes(n)).toBe(n.outputs.length === 2);
});

it('asks for providers by preference, the CPU last', () => {
  expect(executionProviders('cpu', ['Sin_0'])).toEqual(['cpu']);
  expect(executionProviders('cuda', ['Sin_0'])).toEqual(['cuda', 'cpu']);
  expect(executionProviders('webgpu')).toEqual(['webgpu', 'cpu']);
  expect(executionProviders('webgpu', ['Sin_0'])).toEqual([
    { name: 'webgpu', forceCpuNodeNames: ['Sin_0'] },
    'cpu',
  ]);
});

describe('a provider that does not start', () => {
  it.each([
    ['webgpu', 'Failed to get a WebGPU adapter: no adapter found'],
    ['cuda', 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library'],
    ['cuda', 'Failed to load library libonnxruntime_providers_cuda.so: libcudnn.so.9: cannot open'],
    ['cuda', 'CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=x'],
    ['cuda', 'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version'],
  ] as const)('is one line that says what to do: %s, %s', (provider, message) => {
    const error = providerError(provider, new Error(`${message}\nand more`));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(new RegExp(`^engine ${provider} — .+ — .+--engine onnx$`));
  });

  it('leaves other errors as they are', () => {
    const error = new Error('no kernel for Foo');
    for (const provider of ['cpu', 'webgpu', 'cuda'] as const)
      expect(providerError(provider, error)).toBe(error);
  });
});
