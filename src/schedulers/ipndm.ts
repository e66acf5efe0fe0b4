/**
 * PNDM without Runge–Kutta steps for models of a velocity and a time from 0 to 1 (Liu et al. 2022; Crowson's v-diffusion,
 * with its noise levels σ(t) = sin²(πt/2)): Adams–Bashforth of orders one to four as steps become known.
 *
 * Not for models of 1000 timesteps: it has a noise schedule of its own, and its timesteps are fractions.
 */
import { InputError } from '../errors.js';
import { ADAMS_ORDER, adamsBashforth } from './adams.js';
import { checkSameSize, combine, combine64 } from './combine.js';
import { type IPNDMConfig, ipndmConfig, parseConfig, writeConfig } from './config.js';
import { StepIndex } from './step-index.js';
import { checkStepCount } from './timesteps.js';
import type { Sampler, StepResult } from './types.js';

export class IPNDMScheduler implements Sampler {
  readonly config: Readonly<IPNDMConfig>;
  readonly initNoiseSigma = 1;
  /** From 1 to 0, the latter excepted. */
  timesteps: number[] = [];
  private sigmas: number[] = [];
  private index = new StepIndex([]);
  /** ε at the steps before, the newest first. */
  private slopes: Float64Array[] = [];

  /** @throws InputError for values that diffusers' IPNDMScheduler does not take */
  constructor(config: Partial<IPNDMConfig> = {}) {
    this.config = parseConfig(ipndmConfig, config, 'IPNDMScheduler');
    this.setTimesteps(this.config.num_train_timesteps);
  }

  setTimesteps(steps: number | readonly number[]): void {
    if (typeof steps !== 'number')
      throw new InputError('IPNDM needs equal steps — setTimesteps — give a number instead of timesteps');
    checkStepCount(steps, this.config.num_train_timesteps);
    const times = Array.from({ length: steps + 1 }, (_, i) => 1 - i / steps);
    this.sigmas = times.map((t) => Math.sin((t * Math.PI) / 2) ** 2);
    const angles = this.sigmas.map((sigma) => (Math.atan2(sigma, alphaOf(sigma)) / Math.PI) * 2);
    this.timesteps = angles.slice(0, -1).map(Math.fround);
    this.index = new StepIndex(this.timesteps);
    this.slopes = [];
  }

  scaleModelInput(sample: Float32Array): Float32Array {
    return sample;
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    checkSameSize(modelOutput, sample);
    const index = this.index.find(timestep);
    const [sigma, sigmaNext] = [this.sigmas[index], this.sigmas[index + 1]];
    const [alpha, alphaNext] = [alphaOf(sigma), alphaOf(sigmaNext)];
    const epsilon = combine64([sigma, sample], [alpha, modelOutput]);
    const history = this.index.follows(index) ? this.slopes : [];
    this.slopes = [epsilon, ...history].slice(0, ADAMS_ORDER);
    this.index.done(index);

    const slope = adamsBashforth(this.slopes);
    const scale = 1 / Math.max(alpha, 1e-8);
    const original = combine64([scale, sample], [-sigma * scale, slope]);
    return {
      prevSample: combine([alphaNext, original], [sigmaNext, slope]),
      predOriginalSample: combine([alpha, sample], [-sigma, modelOutput]),
    };
  }

  previousTimestep(timestep: number): number {
    return this.index.after(timestep) ?? -1;
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    checkSameSize(noise, original);
    const sigma = this.sigmas[this.index.find(timestep)];
    return combine([alphaOf(sigma), original], [sigma, noise]);
  }

  toConfig(): Record<string, unknown> {
    return writeConfig('IPNDMScheduler', this.config);
  }
}

/** Signal and noise lie on a circle. */
const alphaOf = (sigma: number): number => Math.sqrt(1 - sigma ** 2);
