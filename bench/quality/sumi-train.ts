/**
 * Trains by Sumi, for so many CPU seconds of all threads where they are given, and prints what it took.
 *
 *   tsx sumi-train.ts '{"data": …, "out": …, "config": …, "size": …, "seed": …, "cpuSeconds": …}'
 */
import { configOf } from '../../scripts/cli/train-settings.js';
import { train } from '../../src/training/index.js';
import type { Trained } from './report.js';

interface Order {
  readonly data: string;
  readonly out: string;
  /** A settings file, as of `sumi train --config`; without one the default recipe. */
  readonly config?: string;
  readonly size: number;
  readonly seed: number;
  /** Default: the steps of the recipe. */
  readonly cpuSeconds?: number;
  /** A checkpoint whose autoencoder is used: only the diffusion stage is trained. */
  readonly autoencoder?: string;
  readonly threads?: number;
}

const clock = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const { data, out, config, size, seed, cpuSeconds, autoencoder, threads } = JSON.parse(
  process.argv[2],
) as Order;
const minutes = cpuSeconds && cpuSeconds / 60;
const result = await train({
  data,
  out,
  config: await configOf({ config, size, seed, minutes, autoencoder }, { clock, threads }),
  autoencoderFrom: autoencoder,
  minutes,
  threads,
  clock,
  onNote: (line) => process.stderr.write(`${line}\n`),
});
const { step, loss, params } = result.stages[result.stages.length - 1];
const trained: Trained = { cpuSeconds: clock(), steps: step, loss, parameters: params.length };
process.stdout.write(`${JSON.stringify(trained)}\n`);
