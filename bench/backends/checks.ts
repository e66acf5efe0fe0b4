/** What a backend is checked with: each check gives its largest error against ONNX Runtime on the CPU. */
import { Compiled, type TensorFunction } from '../../src/engine/compile.js';
import type { Engine } from '../../src/engine/engines.js';
import type { Feed } from '../../src/engine/session.js';
import { InputError } from '../../src/errors.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { defaultOptimizer, freshVectors, type StepResult, TrainStep } from '../../src/training/step.js';
import { relativeError } from '../../test/engine/feeds.js';
import { type Case, cases, noGradient, withGradients } from '../../test/engine/op-cases.js';
import { forward, type Network, networks, training } from './networks.js';

export interface Check {
  readonly name: string;
  /** Largest error that passes, relative to the largest element unless the name says otherwise. */
  readonly tolerance: number;
  /** Whether it needs gradients, which tfjs-wasm has not of filters. */
  readonly trains?: boolean;
  /** @returns the error, and where it was the largest */
  run(engine: Engine): Promise<Worst>;
}

export interface Worst {
  readonly error: number;
  readonly where: string;
}

const worstOf = (found: readonly Worst[]): Worst =>
  found.reduce((a, b) => (b.error > a.error ? b : a), { error: 0, where: '' });

/** One function on both sides. */
async function compare(
  name: string,
  engine: Engine,
  fn: TensorFunction,
  inputs: Readonly<Record<string, Feed>>,
  constants?: Readonly<Record<string, Feed>>,
): Promise<Worst> {
  const [cpu, own] = [new Compiled(fn, { constants }), new Compiled(fn, { engine, constants })];
  try {
    const [want, got] = [await cpu.run(inputs), await own.run(inputs)];
    return worstOf(
      Object.keys(want).map((key) => ({
        error: relativeError(got[key], want[key]),
        where: `${name}, ${key}`,
      })),
    );
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new Error(`${name}: ${(error as Error).message.split('\n')[0]}`);
  } finally {
    await cpu.dispose();
    await own.dispose();
  }
}

async function operations(engine: Engine, gradients: boolean): Promise<Worst> {
  const found: Worst[] = [];
  const differentiable = ([name]: Case) => !noGradient.has(name);
  for (const [name, f, inputs] of gradients ? cases.filter(differentiable) : cases) {
    const fn: TensorFunction = gradients ? withGradients(f) : (x) => ({ y: f(x) });
    found.push(await compare(name, engine, fn, inputs));
  }
  return worstOf(found);
}

const STEPS = 3;

/** Some steps of training; Adam's first moment is compared, which is linear in the gradients. */
async function trainOn(engine: Engine, network: Network): Promise<{ last: StepResult; m: Float32Array }> {
  const { specs, loss, start } = training(network);
  const trainer = new TrainStep(specs, loss, freshVectors(start), defaultOptimizer, { engine });
  try {
    let last: StepResult | undefined;
    for (let step = 1; step <= STEPS; step++) last = await trainer.run(network.inputs, step, 1e-4, 0.9);
    return { last: last as StepResult, m: (await trainer.read()).m.slice() };
  } finally {
    await trainer.dispose();
  }
}

async function steps(engine: Engine, network: Network): Promise<Worst> {
  const [want, got] = [await trainOn('onnx', network), await trainOn(engine, network)];
  return worstOf([
    { error: Math.abs(got.last.loss / want.last.loss - 1), where: `${network.name}, loss` },
    { error: relativeError(got.m, want.m), where: `${network.name}, first moment` },
  ]);
}

/** Steps of drawing: few, for software drivers take a hundred times as long as a CPU. */
const DRAWN = 4;

async function draw(engine: Engine): Promise<Uint8Array> {
  const pipeline = await DiffusionPipeline.fromPretrained('characters', { engine });
  try {
    const [picture] = await pipeline.generate({ seed: 7, label: 0, steps: DRAWN });
    return picture.data;
  } finally {
    await pipeline.dispose();
  }
}

/** Largest difference of two pictures' bytes, and how many differ. */
export function byteDifference(a: ArrayLike<number>, b: ArrayLike<number>): Worst {
  if (a.length !== b.length) return { error: Number.POSITIVE_INFINITY, where: 'another size' };
  let [error, differing] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    error = Math.max(error, difference);
    if (difference > 0) differing++;
  }
  return { error, where: `${differing} of ${a.length} bytes differ` };
}

export const checks: readonly Check[] = [
  { name: 'operations', tolerance: 1e-5, run: (engine) => operations(engine, false) },
  { name: 'gradients', tolerance: 1e-4, trains: true, run: (engine) => operations(engine, true) },
  ...networks.flatMap((network): Check[] => [
    {
      name: network.name,
      tolerance: 1e-5,
      run: (engine) => {
        const { fn, constants } = forward(network);
        return compare(network.name, engine, fn, network.inputs, constants);
      },
    },
    {
      name: `${network.name}, ${STEPS} steps`,
      tolerance: 1e-3,
      trains: true,
      run: (engine) => steps(engine, network),
    },
  ]),
  {
    name: 'picture of the shipped model, in steps of 1/255',
    tolerance: 1,
    run: async (engine) => byteDifference(await draw(engine), await draw('onnx')),
  },
];
