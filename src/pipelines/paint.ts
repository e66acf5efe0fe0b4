/** The loop of inpainting: denoise, and put what is known back at every level. */
import { setImmediate } from 'node:timers/promises';
import { type Churn, type Sampler, stepStarts } from '../schedulers/index.js';
import { requireFinite } from './denoise.js';
import type { DrawNoise } from './noise.js';
import { alphaProdAt, type Move, noiseUp } from './repaint.js';

export interface PaintOptions {
  /** The network's answer for an input at a timestep (`Denoiser.predict` with all else settled). */
  readonly predict: (input: Float32Array, timestep: number) => Promise<Float32Array>;
  /** With its timesteps set. */
  readonly scheduler: Sampler;
  /** The clean sample of the given picture. */
  readonly known: Float32Array;
  /** 1 where the sample is painted, 0 where it is known; of the same length. */
  readonly painted: Uint8Array;
  readonly moves: readonly Move[];
  readonly noise: DrawNoise;
  readonly eta?: number;
  readonly churn?: Churn;
  readonly signal?: AbortSignal;
  /** Told after each move. */
  readonly onMove?: (done: number) => void;
}

/**
 * Fills in the painted part of a sample. After every step the known part is replaced by the given picture, noised to
 * the level that the step reached (Lugmayr et al. 2022, eq. 8; Song et al. 2021, "Score-based …", appendix I.2).
 * @returns a clean sample; where it is known, it is the given one
 * @throws RunError when the network's numbers stop being numbers
 * @throws the signal's reason when it aborts, between steps
 */
export async function paint(options: PaintOptions): Promise<Float32Array> {
  const { predict, scheduler, known, painted, moves, noise: normal, eta, churn, signal, onMove } = options;
  const { timesteps } = scheduler;
  const restore = (sample: Float32Array, level: number, ...name: (string | number)[]): Float32Array => {
    const t = timesteps[level] as number | undefined;
    const given = t === undefined ? known : scheduler.addNoise(known, normal('known', ...name), t);
    return sample.map((x, i) => (painted[i] ? x : given[i]));
  };
  // In the middle of a step a solver's sample is its own.
  const starts = new Set(stepStarts(scheduler));
  const between = (level: number) => level < timesteps.length && !starts.has(level);
  let level = 0;
  const start: Float32Array = normal('latents').map((x) => x * scheduler.initNoiseSigma);
  let sample = restore(start, 0, 'start');
  for (const [k, move] of moves.entries()) {
    // Signals such as Ctrl-C arrive only when the event loop turns, which eager engines never let it do.
    await setImmediate();
    signal?.throwIfAborted();
    if ('up' in move) {
      const [from, to] = [alphaProdAt(scheduler, level), alphaProdAt(scheduler, move.up)];
      sample = noiseUp(sample, from, to, normal('up', k));
      level = move.up;
    } else {
      const timestep = timesteps[move.down];
      const output = await predict(scheduler.scaleModelInput(sample, timestep), timestep);
      const noise = () => normal('variance', k);
      level = move.down + 1;
      const { prevSample } = scheduler.step(output, timestep, sample, { eta, churn, noise });
      sample = between(level) ? prevSample : restore(prevSample, level, k);
    }
    onMove?.(k + 1);
  }
  requireFinite(sample);
  return sample;
}
