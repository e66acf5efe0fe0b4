/** The network as a denoiser of one picture, and the loop that denoises it step by step. */
import { setImmediate } from 'node:timers/promises';
import type { CompileOptions } from '../engine/compile.js';
import type { Feed } from '../engine/session.js';
import { RunError } from '../errors.js';
import { classifierFree } from '../guidance/index.js';
import type { Churn, Sampler } from '../schedulers/index.js';
import { isClassConditional, type UNetNetwork } from '../unet/index.js';
import type { BlendPart } from './blend.js';
import { type Forward, NetworkRuns } from './forward.js';
import type { PromptEncoder } from './text.js';

/** What the network is told of a picture besides the noise. */
export interface Condition {
  /** Class index; null for a network without classes. */
  readonly label: number | null;
  /** Several classes in place of `label`, by the denoiser of `blending`. */
  readonly blend?: readonly BlendPart[];
  /** Class of the other pass of guidance, that of none or a negative one; null: no guidance. */
  readonly nullLabel: number | null;
  /** Weight of guidance (Ho & Salimans 2022): 1 is the plain conditional prediction. */
  readonly guidanceScale: number;
  /** What a network that knows texts is to draw, and what the other pass of guidance draws. */
  readonly prompt?: string;
  readonly negativePrompt?: string;
  /** What a network trained for inpainting sees beside the sample, [height, width, channels]. */
  readonly channels?: Float32Array;
}

/** Predicts the model's output for one sample at a timestep: a row of the network's, or two under guidance. */
export class Denoiser {
  /** The network's sessions. */
  readonly runs: NetworkRuns;
  private readonly forward: Forward;

  /** @param prompts for a network that knows texts */
  constructor(
    readonly network: UNetNetwork,
    params: Float32Array | NetworkRuns,
    options: CompileOptions = {},
    private readonly prompts: PromptEncoder | null = null,
    forward?: Forward,
  ) {
    this.runs = params instanceof NetworkRuns ? params : new NetworkRuns(network, params, options);
    this.forward = forward ?? this.runs;
  }

  /** The same denoiser, its rows run by something else: beside other pictures' or with features of earlier steps. */
  over(forward: Forward): Denoiser {
    return new Denoiser(this.network, this.runs, {}, this.prompts, forward);
  }

  /**
   * @param sample [height, width, out_channels], already scaled as the scheduler wants (scaleModelInput)
   * @param size height and width of the sample
   * @returns the prediction (ε, x_0 or v, as the model was trained), in the sample's shape
   */
  async predict(
    sample: Float32Array,
    size: readonly [number, number],
    timestep: number,
    condition: Condition,
  ): Promise<Float32Array> {
    const { conditional, other } = await this.pair(sample, size, timestep, condition);
    return other ? classifierFree(conditional, other, condition.guidanceScale) : conditional;
  }

  /**
   * The two predictions that guidance makes one of: with the label or prompt, and without or with the negative one. The
   * other is null where there is no guidance. Parameters as of `predict`.
   */
  async pair(
    sample: Float32Array,
    size: readonly [number, number],
    timestep: number,
    condition: Condition,
  ): Promise<{ conditional: Float32Array; other: Float32Array | null }> {
    const { label, nullLabel, guidanceScale, prompt = '', negativePrompt = '' } = condition;
    const { config } = this.network;
    const classes = isClassConditional(config);
    const differs = this.prompts
      ? prompt !== negativePrompt
      : classes && nullLabel !== null && label !== nullLabel;
    const guided = differs && guidanceScale !== 1;
    const rows = guided ? 2 : 1;
    const shape = [rows, ...size, config.in_channels];
    const seen = condition.channels ? beside(sample, condition.channels, size[0] * size[1]) : sample;
    const data = guided ? twice(seen) : seen;
    const inputs: Record<string, Feed> = {
      sample: { data, shape, dtype: 'float32' },
      timesteps: { data: new Float32Array(rows).fill(timestep), shape: [rows], dtype: 'float32' },
    };
    if (classes) {
      const labels = Int32Array.of(label ?? 0, nullLabel ?? 0).subarray(0, rows);
      inputs.labels = { data: labels, shape: [rows], dtype: 'int32' };
    }
    if (this.prompts) {
      const texts = guided ? [prompt, negativePrompt] : [prompt];
      const told: Float32Array[] = [];
      for (const text of texts) told.push(await this.prompts.encode(text));
      const data = joined(told);
      inputs.context = { data, shape: [rows, ...this.prompts.shape], dtype: 'float32' };
    }
    const output = await this.forward.run(inputs);
    if (!guided) return { conditional: output, other: null };
    const n = output.length / 2;
    return { conditional: output.subarray(0, n), other: output.subarray(n) };
  }

  dispose(): Promise<void> {
    return this.runs.dispose();
  }
}

const twice = (sample: Float32Array): Float32Array => joined([sample, sample]);

/** Arrays of one length, one after another. */
function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts[0].length * parts.length);
  for (const [i, part] of parts.entries()) all.set(part, i * part.length);
  return all;
}

/** [pixels, C] and [pixels, D] as [pixels, C + D]. */
export function beside(a: Float32Array, b: Float32Array, pixels: number): Float32Array {
  const [c, d] = [a.length / pixels, b.length / pixels];
  const both = new Float32Array(a.length + b.length);
  for (let i = 0; i < pixels; i++) {
    both.set(a.subarray(i * c, (i + 1) * c), i * (c + d));
    both.set(b.subarray(i * d, (i + 1) * d), i * (c + d) + c);
  }
  return both;
}

/** A picture on its way: told after each step. */
export interface StepEvent {
  /** From 0. */
  readonly index: number;
  readonly timestep: number;
  readonly sample: Float32Array;
  /** The picture that the model sees from here, in the model's own space. */
  readonly predOriginalSample: Float32Array;
}

export interface DenoiseOptions {
  readonly denoiser: Pick<Denoiser, 'predict'>;
  /** With its timesteps set. */
  readonly scheduler: Sampler;
  /** Noise to start from, already times initNoiseSigma: [height, width, channels]. */
  readonly sample: Float32Array;
  /** Index of the timestep to start with, one of `stepStarts`, for a sample that is only partly noise. Default 0. */
  readonly start?: number;
  readonly size: readonly [number, number];
  readonly condition: Condition;
  readonly eta?: number;
  readonly churn?: Churn;
  /** Standard normal noise for a step that wants it, by the step's index. */
  readonly noise: (index: number) => Float32Array;
  readonly signal?: AbortSignal;
  readonly onStep?: (event: StepEvent) => void | Promise<void>;
}

/**
 * Visits the scheduler's timesteps, from noise to picture.
 * @returns the clean sample
 * @throws RunError when the network's numbers stop being numbers
 * @throws the signal's reason when it aborts, between steps
 */
export async function denoise(options: DenoiseOptions): Promise<Float32Array> {
  const { denoiser, scheduler, start = 0, size, condition, eta, churn, noise, signal, onStep } = options;
  let { sample } = options;
  for (const [index, timestep] of scheduler.timesteps.entries()) {
    if (index < start) continue;
    // Signals such as Ctrl-C arrive only when the event loop turns, which eager engines never let it do.
    await setImmediate();
    signal?.throwIfAborted();
    const input = scheduler.scaleModelInput(sample, timestep);
    const output = await denoiser.predict(input, size, timestep, condition);
    const stepped = scheduler.step(output, timestep, sample, { eta, churn, noise: () => noise(index) });
    sample = stepped.prevSample;
    requireFinite(sample);
    await onStep?.({ index, timestep, sample, predOriginalSample: stepped.predOriginalSample });
  }
  return sample;
}

/** @throws RunError when the sample, or a picture decoded from it, holds NaN or infinity */
export function requireFinite(sample: Float32Array): void {
  if (sample.every(Number.isFinite)) return;
  throw new RunError(
    'the picture became NaN while denoising — sampling — use more steps, a lower --guidance, or another checkpoint',
  );
}
