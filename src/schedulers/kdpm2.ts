/**
 * DPM-Solver-2 (Lu et al. 2022, "DPM-Solver: a fast ODE solver …", algorithm 1) in the form of Karras et al. 2022:
 * the midpoint method in σ, the midpoint being that of log σ. Second order; without noise and with ancestral noise.
 */
import { combine, drawNoise, type Term } from './combine.js';
import { type KDPM2Config, kdpm2Config, parseConfig } from './config.js';
import { ancestralSigmas } from './euler.js';
import { type Calls, SigmaScheduler, twiceAStep } from './sigma-scheduler.js';
import { roundHalfEven } from './timesteps.js';
import type { StepOptions, StepResult } from './types.js';

/** Each step looks at the model twice: at its start and in its middle. The last one, to σ = 0, is Euler's. */
abstract class MidpointScheduler extends SigmaScheduler<KDPM2Config> {
  /** Where the step began, between its two looks. */
  private begun: Float32Array | null = null;

  step(
    modelOutput: Float32Array,
    timestep: number,
    sample: Float32Array,
    options: StepOptions = {},
  ): StepResult {
    const index = this.index.find(timestep);
    const step = index >> 1;
    const [sigma, sigmaNext] = [this.sigmas[step], this.sigmas[step + 1]];
    const { down, up } = this.target(sigma, sigmaNext);
    const middle = Math.sqrt(sigma * down);
    const second = index % 2 === 1;
    if (second) this.index.requireFollows(index);

    const level = second ? middle : sigma;
    const original = this.denoised(modelOutput, sample, level);
    // x + (σ_to − σ)·dx/dσ: first to the middle by the slope at the start, then all the way by that of the middle
    const from = second && this.begun ? this.begun : sample;
    const dt = ((second ? down : middle) - sigma) / level;
    const terms: Term[] = [
      [1, from],
      [dt, sample],
      [-dt, original],
    ];
    if (second && up > 0) terms.push([up, drawNoise(options, sample)]);
    this.index.done(index);
    this.begun = second ? null : sample.slice();
    return { prevSample: combine(...terms), predOriginalSample: new Float32Array(original) };
  }

  /** Where a step goes by the ODE, and the noise that is added there. */
  protected abstract target(sigma: number, sigmaNext: number): { down: number; up: number };

  protected override calls(timesteps: number[], sigmas: number[]): Calls {
    return twiceAStep(timesteps, sigmas, (k) => {
      const level = Math.sqrt(sigmas[k] * this.target(sigmas[k], sigmas[k + 1]).down);
      return { timestep: super.timestepOf(level), level };
    });
  }

  /** diffusers rounds the timesteps of Karras' levels, and those only. */
  protected override timestepOf(sigma: number): number {
    const timestep = super.timestepOf(sigma);
    return this.config.use_karras_sigmas ? roundHalfEven(timestep) : timestep;
  }
}

/** DPM-Solver-2 (Lu et al. 2022) in the form of Karras et al. 2022: two calls of the model a step, second order. */
export class KDPM2DiscreteScheduler extends MidpointScheduler {
  /** @throws InputError for values that diffusers' KDPM2DiscreteScheduler does not take */
  constructor(config: Partial<KDPM2Config> = {}) {
    super(parseConfig(kdpm2Config, config, 'KDPM2DiscreteScheduler'), 'KDPM2DiscreteScheduler');
  }

  protected target(_sigma: number, sigmaNext: number) {
    return { down: sigmaNext, up: 0 };
  }
}

/** The same with ancestral noise in each step. */
export class KDPM2AncestralDiscreteScheduler extends MidpointScheduler {
  /** @throws InputError for values that diffusers' KDPM2AncestralDiscreteScheduler does not take */
  constructor(config: Partial<KDPM2Config> = {}) {
    const parsed = parseConfig(kdpm2Config, config, 'KDPM2AncestralDiscreteScheduler');
    super(parsed, 'KDPM2AncestralDiscreteScheduler');
  }

  protected target(sigma: number, sigmaNext: number) {
    return ancestralSigmas(sigma, sigmaNext);
  }
}
