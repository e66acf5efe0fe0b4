/** Models of a run whose averages were kept: of any width and step, and which of several draws best. */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { readPipelineDir } from '../checkpoint/pipeline.js';
import { partsOf, writePipelineDir } from '../checkpoint/write.js';
import { countParams, type ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';
import { openUNet } from '../unet/index.js';
import { readSnapshots, snapshotFolder, snapshotSteps } from './averages.js';
import { parseTrainConfig } from './config.js';
import { lockRun } from './lock.js';
import type { LoopOptions } from './loop.js';
import { type Combination, combine, gammaOf, type Profile } from './power-ema.js';
import { qualityMeasure } from './quality.js';
import { readRunConfig } from './run-dir.js';
import { readData } from './train.js';

export interface AverageOptions extends Pick<LoopOptions, 'engine' | 'threads' | 'signal' | 'onNote'> {
  /** Run directory. */
  readonly run: string;
  /** Relative widths, 0 to 0.28. Of several, and of the model as it is, the one with the lowest KID is published. */
  readonly widths: readonly number[];
  /** Step at which the average ends, one that was kept; default the last. */
  readonly at?: number;
  /** Where the model goes; default the run's `model/`. */
  readonly out?: string;
  readonly dtype?: 'F32' | 'F16';
  /** Pictures that each of several models draws; default 100. */
  readonly count?: number;
}

export interface Averaged {
  /** null: the model as it was. */
  readonly width: number | null;
  /** Distance of the average from the one asked for, as a share of its length: of their profiles, in least squares. */
  readonly error: number;
  readonly kid?: number;
  readonly kidStandardError?: number;
}

export interface AverageResult {
  readonly model: string;
  readonly step: number;
  /** In the order of `widths`; with several, the model as it was comes last. */
  readonly averages: readonly Averaged[];
  /** The width that was published; null: the model as it was is best, and stays. */
  readonly published: number | null;
}

/**
 * Publishes an average of a run's weights that was not kept, made of those that were (`ema_widths`).
 * @throws InputError for a run that has none, or for a width or step that it cannot be made for
 */
export async function averageRun(options: AverageOptions): Promise<AverageResult> {
  const { widths, dtype, signal } = options;
  const run = resolve(options.run);
  const saved = await readRunConfig(run);
  const steps = await snapshotSteps(run);
  if (steps.length === 0)
    throw new InputError(`no averages were kept — ${run} — train with ema_widths, such as [0.05, 0.1]`);
  const step = options.at ?? steps[steps.length - 1];
  if (!steps.includes(step))
    throw new InputError(`step ${step} was not kept — --at — give one of ${steps.join(', ')}`);
  const wanted = widths.map((width) => ({ gamma: gammaOf(width), step }));
  const pipeline = await readPipelineDir(run);
  const { className, config } = pipeline.unet;
  const { specs } = openUNet(className, config, pipeline.dir);
  const out = resolve(options.out ?? join(run, 'model'));
  const unlock = await lockRun(run);
  try {
    const combinations = await plan(run, steps, wanted);
    const publish = async (i: number, dir: string): Promise<void> => {
      const params = await average(run, steps, combinations[i].multipliers, specs);
      const recipe = { ...(pipeline.sumi.recipe as JsonObject), average: { width: widths[i], step } };
      const sumi = { ...pipeline.sumi, recipe };
      await writePipelineDir(
        dir,
        { ...partsOf(pipeline), unet: { className, config, weights: { specs, params } }, sumi },
        dtype,
      );
    };
    const plain = widths.map((width, i) => ({ width, error: combinations[i].error }));
    if (widths.length === 1) {
      await publish(0, out);
      return { model: out, step, averages: plain, published: widths[0] };
    }
    const candidate = join(snapshotFolder(run), 'candidate');
    const averages: Averaged[] = [];
    try {
      const config = parseTrainConfig(saved.config, join(run, 'config.json'));
      const autoencoderFrom = (saved.autoencoder_from as string | null | undefined) ?? null;
      const dataset = await readData({ data: String(saved.data), signal }, config, autoencoderFrom);
      const measure = qualityMeasure(dataset, candidate, 1, { ...options, onNote: undefined });
      for (const [i, of] of [...plain, { width: null, error: 0 }].entries()) {
        if (of.width === null)
          await writePipelineDir(candidate, { ...partsOf(pipeline), sumi: pipeline.sumi });
        else await publish(i, candidate);
        const { kid, kid_standard_error } = await measure.run(step);
        averages.push({ ...of, kid: Number(kid), kidStandardError: Number(kid_standard_error) });
        options.onNote?.(
          `${of.width === null ? 'the model as it is' : `width ${of.width}`}: KID ${Number(kid).toFixed(3)}`,
        );
      }
    } finally {
      await rm(candidate, { recursive: true, force: true });
    }
    const best = averages.reduce((a, b) => ((b.kid as number) < (a.kid as number) ? b : a));
    if (best.width !== null) await publish(averages.indexOf(best), out);
    return { model: out, step, averages, published: best.width };
  } finally {
    await unlock();
  }
}

/** What a run's averages are multiplied by for each that is wanted, in the order of `average`. */
async function plan(
  run: string,
  steps: readonly number[],
  wanted: readonly Profile[],
): Promise<Combination[]> {
  const kept: Profile[] = [];
  for (const step of steps)
    for (const { width } of await readSnapshots(run, step)) kept.push({ gamma: gammaOf(width), step });
  return wanted.map((each) => combine(kept, each));
}

/** The sum of a run's averages, each multiplied; what was trained beside the network is left out. */
async function average(
  run: string,
  steps: readonly number[],
  multipliers: readonly number[],
  specs: readonly ParamSpec[],
): Promise<Float32Array> {
  const sum = new Float32Array(countParams(specs));
  let i = 0;
  for (const step of steps)
    for (const { values } of await readSnapshots(run, step)) {
      const by = multipliers[i++];
      for (let k = 0; k < sum.length; k++) sum[k] += by * values[k];
    }
  return sum;
}
