/** Data that stays on the device between runs, with ONNX Runtime's WebGPU provider played by a stand-in. */
import { beforeEach, expect, it, vi } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import type { Feed } from '../../src/engine/session.js';
import { type Scalar, tf } from '../../src/engine/tf.js';
import { defaultOptimizer, freshVectors, TrainStep } from '../../src/training/step.js';

type Settings = { executionProviders: unknown[]; preferredOutputLocation?: Record<string, string> };
interface Sent {
  readonly location: string;
  readonly data: Float32Array;
  disposed: boolean;
}

const seen = vi.hoisted(() => ({
  settings: [] as unknown[],
  runs: [] as Record<string, unknown>[],
  made: [] as unknown[],
  log: [] as string[],
}));

/** Runs on the CPU; outputs that are to stay on the device come as tensors whose data cannot be read. */
vi.mock('onnxruntime-node', async (original) => {
  const ort = await original<typeof import('onnxruntime-node')>();
  class OnDevice {
    readonly location = 'gpu-buffer';
    disposed = false;
    constructor(readonly inner: { data: unknown }) {
      seen.made.push(this);
    }
    get data(): never {
      throw new Error('The data is not stored on CPU');
    }
    dispose() {
      seen.log.push('tensor freed');
      this.disposed = true;
    }
  }
  const create = async (file: Uint8Array, settings: Settings) => {
    seen.settings.push(settings);
    const { preferredOutputLocation: kept = {}, ...rest } = settings;
    const inner = await ort.InferenceSession.create(file, { ...rest, executionProviders: ['cpu'] } as never);
    const run = async (feeds: Record<string, never>, fetches: Record<string, never>) => {
      seen.runs.push(feeds);
      const given = Object.entries(feeds).map(([n, t]) => [n, (t as OnDevice).inner ?? t]);
      const results = await inner.run(Object.fromEntries(given), fetches);
      return Object.fromEntries(
        Object.entries(results).map(([n, t]) => [n, kept[n] === 'gpu-buffer' ? new OnDevice(t as never) : t]),
      );
    };
    const release = async () => {
      seen.log.push('session freed');
      await inner.release();
    };
    return { run, release, inputNames: inner.inputNames, outputNames: inner.outputNames };
  };
  return { ...ort, default: { ...ort, InferenceSession: { create } } };
});

const array = (...values: number[]): Feed => ({
  data: Float32Array.from(values),
  shape: [values.length],
  dtype: 'float32',
});
const numbers = ({ data }: Feed) => Array.from(data);

beforeEach(() => {
  for (const list of Object.values(seen)) list.length = 0;
});

it('outputs stay on the device, are inputs there, and are read when asked for', async () => {
  const fn = ({ a }: Record<string, tf.Tensor>) => ({ a: tf.mul(a, 2), sum: tf.sum(a) });
  const compiled = new Compiled(fn, { engine: 'webgpu', resident: ['a'] });
  const [first, second] = [array(1, 2), array(0, 0)];
  expect((await compiled.run({ a: first }, { a: second })).sum[0]).toBe(3);
  expect((seen.settings[0] as Settings).preferredOutputLocation).toEqual({ 'a:out': 'gpu-buffer' });
  expect(numbers(second)).toEqual([0, 0]);
  expect((await compiled.run({ a: second }, { a: first })).sum[0]).toBe(6);
  expect((seen.runs[1].a as Sent).location).toBe('gpu-buffer');
  expect(numbers(first)).toEqual([1, 2]);
  await compiled.read([first, second]);
  expect([numbers(first), numbers(second)]).toEqual([
    [4, 8],
    [2, 4],
  ]);
  const runs = seen.runs.length;
  await compiled.read([first, second]);
  expect(seen.runs.length).toBe(runs);
  await compiled.dispose();
});

it('frees what is on the device when it is replaced, and all of it before the sessions', async () => {
  const compiled = new Compiled(({ a }) => ({ a: tf.add(a, 1) }), { engine: 'webgpu', resident: ['a'] });
  const [first, second] = [array(1, 2), array(0, 0)];
  for (const [from, to] of [
    [first, second],
    [second, first],
    [first, second],
  ])
    await compiled.run({ a: from }, { a: to });
  expect((seen.made as Sent[]).map((t) => t.disposed)).toEqual([true, false, false]);
  await compiled.dispose();
  expect((seen.made as Sent[]).every((t) => t.disposed)).toBe(true);
  expect(seen.log.indexOf('session freed')).toBe(seen.log.lastIndexOf('tensor freed') + 1);
});

it('is left alone by engines without a device of their own', async () => {
  const compiled = new Compiled(({ a }) => ({ a: tf.add(a, 1) }), { resident: ['a'] });
  const [first, second] = [array(1, 2), array(0, 0)];
  await compiled.run({ a: first }, { a: second });
  expect(numbers(second)).toEqual([2, 3]);
  expect((seen.settings[0] as Settings).preferredOutputLocation).toBeUndefined();
  await compiled.read([second]);
  await compiled.dispose();
});

it("a training step's state stays on the device and is the CPU's when it is read", async () => {
  const specs = [{ name: 'w', shape: [3], init: { constant: 1 } }];
  const loss = (p: Record<string, tf.Tensor>, { x }: Record<string, tf.Tensor>) => ({
    loss: tf.sum(tf.square(tf.sub(p.w, x))) as Scalar,
  });
  const run = async (engine: 'onnx' | 'webgpu') => {
    const start = freshVectors(Float32Array.of(1, 2, 3));
    const trainer = new TrainStep(specs, loss, start, defaultOptimizer, { engine });
    for (let step = 1; step <= 3; step++) await trainer.run({ x: array(0, 1, -1) }, step, 0.1, 0.9);
    // A step that gives no number leaves the state as it was.
    await trainer.run({ x: array(0, Number.NaN, 0) }, 4, 0.1, 0.9);
    const { params, m, v, ema } = await trainer.read();
    const read = [params, m, v, ema].map((a) => Array.from(a));
    await trainer.dispose();
    return read;
  };
  const want = await run('onnx');
  seen.runs.length = 0;
  for (const [i, vector] of (await run('webgpu')).entries())
    for (const [k, x] of vector.entries()) expect(x).toBeCloseTo(want[i][k], 6);
  const locations = seen.runs.slice(0, 4).map(({ params }) => (params as Sent).location);
  expect(locations).toEqual(['cpu', 'gpu-buffer', 'gpu-buffer', 'gpu-buffer']);
});
