/**
 * The order of steps of inpainting. A sample's level counts the steps that are behind it: level 0 is the noise that
 * sampling starts from, level `steps` the clean picture.
 */
import { InputError } from '../errors.js';
import type { Sampler, Scheduler } from '../schedulers/index.js';

/** `down: i` denoises from level i to i + 1; `up: i` adds noise, from wherever the sample is, back to level i. */
export type Move = { readonly down: number } | { readonly up: number };

/** Every step once. */
export function plainSchedule(steps: number): Move[] {
  return Array.from({ length: steps }, (_, i) => ({ down: i }));
}

/**
 * RePaint's resampling (Lugmayr et al. 2022, section 4.2 and appendix B). With t the number of steps still to do:
 * whenever t reaches a multiple of `jumpLength` below T - jumpLength, the sample goes back up `jumpLength` steps and
 * comes down again, `jumps` - 1 times. So every stretch but the noisiest is denoised `jumps` times.
 * @param steps T, the number of denoising steps
 * @param jumpLength j of the paper, from 1
 * @param jumps r of the paper, from 1; 1 is the plain schedule
 */
export function repaintSchedule(steps: number, jumpLength: number, jumps: number): Move[] {
  const moves: Move[] = [];
  for (let t = steps; t > 0; t--) {
    moves.push({ down: steps - t });
    const left = t - 1;
    if (left % jumpLength !== 0 || left >= steps - jumpLength) continue;
    const start = steps - left - jumpLength;
    for (let turn = 1; turn < jumps; turn++) {
      moves.push({ up: start });
      for (let i = 0; i < jumpLength; i++) moves.push({ down: start + i });
    }
  }
  return moves;
}

/** ᾱ of a level; 1 for the clean picture. @param scheduler that `requireResampling` takes */
export function alphaProdAt(scheduler: Sampler, level: number): number {
  const { timesteps, alphasCumprod } = scheduler as Scheduler;
  return level < timesteps.length ? alphasCumprod[timesteps[level]] : 1;
}

/**
 * Draws from q(x_t | x_s), t noisier than s: √(ᾱ_t/ᾱ_s)·x_s + √(1 - ᾱ_t/ᾱ_s)·ε. It is the product of the single
 * steps of the forward process (Ho et al. 2020, eq. 2) from s to t.
 * @param from ᾱ_s
 * @param to ᾱ_t, at most ᾱ_s
 * @param noise ε, of the sample's shape
 */
export function noiseUp(sample: Float32Array, from: number, to: number, noise: Float32Array): Float32Array {
  const ratio = to / from;
  const [a, b] = [Math.sqrt(ratio), Math.sqrt(Math.max(0, 1 - ratio))];
  return sample.map((x, i) => a * x + b * noise[i]);
}

/**
 * Going back up needs samples of the variance-preserving process and a solver that remembers nothing.
 * @throws InputError for other schedulers
 */
export function requireResampling(scheduler: Sampler): void {
  const name = String(scheduler.toConfig()._class_name);
  if (name === 'DDPMScheduler' || name === 'DDIMScheduler') return;
  throw new InputError(
    `repaint cannot go back up with ${name} — --scheduler — use ddim or ddpm, or --method replace`,
  );
}
