/** The order in which ONNX Runtime computes what `inOrder` numbered, as its profile tells it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { encodeModel, type OnnxModel, type OnnxNode, type ValueInfo } from '../../src/engine/onnx.js';
import { inOrder } from '../../src/engine/schedule.js';
import { Session } from '../../src/engine/session.js';

const node = (op: string, inputs: string[], output: string): OnnxNode => ({
  op,
  domain: '',
  inputs,
  outputs: [output],
  attrs: op === 'ReduceSum' ? { keepdims: 0 } : {},
});
const value = (name: string, shape: number[]): ValueInfo => ({ name, shape, type: 'float32' });
const LENGTH = 6;

/** x → v0 → v1 → … with a sum of each, as gradients have, and the sum of those, all after the chain. */
function chain(): OnnxModel {
  const steps = Array.from({ length: LENGTH }, (_, i) => i);
  return {
    nodes: [
      ...steps.map((i) => node('Sin', [i === 0 ? 'x' : `v${i - 1}`], `v${i}`)),
      ...steps.map((i) => node('ReduceSum', [`v${i}`], `sum${i}`)),
      node(
        'Sum',
        steps.map((i) => `sum${i}`),
        'norm',
      ),
    ],
    initializers: [],
    inputs: [value('x', [3])],
    outputs: [...steps.map((i) => value(`sum${i}`, [])), value('norm', [])],
  };
}

/** The operators in the order in which they ran, and the results. */
async function ran(model: OnnxModel): Promise<{ order: string[]; results: Record<string, unknown> }> {
  const dir = await mkdtemp(join(tmpdir(), 'sumi-schedule-'));
  try {
    const session = await Session.create(encodeModel(model), {
      optimize: false,
      threads: 1,
      profile: join(dir, 'profile'),
    });
    const x = { data: Float32Array.of(0.5, 1, 2), shape: [3], dtype: 'float32' as const };
    const results = await session.run({ x });
    session.endProfiling();
    await session.dispose();
    const [file] = await readdir(dir);
    const events = JSON.parse(await readFile(join(dir, file), 'utf8')) as {
      cat: string;
      name: string;
      args: { op_name: string };
    }[];
    const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
    return { order: kernels.map(({ args }) => args.op_name), results };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

it('sums come as soon as what they sum is there', async () => {
  const [plain, ordered] = [await ran(chain()), await ran(inOrder(chain()))];
  const pairs = Array.from({ length: LENGTH }, () => ['Sin', 'ReduceSum']).flat();
  expect(ordered.order).toEqual([...pairs, 'Sum']);
  expect(plain.order).not.toEqual(ordered.order);
  expect(ordered.results).toEqual(plain.results);
});
