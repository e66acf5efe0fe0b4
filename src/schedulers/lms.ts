/**
 * Linear multistep (Adams–Bashforth) in σ for unequal steps, as k-diffusion has it: the slopes of the last steps
 * make a polynomial, and its integral is the step. Fourth order once four slopes are known.
 */
import { combine, combine64, type Term } from './combine.js';
import { type LMSConfig, lmsConfig, parseConfig } from './config.js';
import { SigmaScheduler } from './sigma-scheduler.js';
import type { StepResult } from './types.js';

/** Slopes that a step uses at most. */
const ORDER = 4;

/** Linear multistep (Adams–Bashforth) in σ, of orders up to four. */
export class LMSDiscreteScheduler extends SigmaScheduler<LMSConfig> {
  /** dx/dσ at the last steps, the newest first. */
  private slopes: Float64Array[] = [];

  /** @throws InputError for values that diffusers' LMSDiscreteScheduler does not take */
  constructor(config: Partial<LMSConfig> = {}) {
    super(parseConfig(lmsConfig, config, 'LMSDiscreteScheduler'), 'LMSDiscreteScheduler');
  }

  step(modelOutput: Float32Array, timestep: number, sample: Float32Array): StepResult {
    const index = this.index.find(timestep);
    const sigma = this.sigmas[index];
    const original = this.denoised(modelOutput, sample, sigma);
    const slope = combine64([1 / sigma, sample], [-1 / sigma, original]);
    const history = this.index.follows(index) ? this.slopes : [];
    this.slopes = [slope, ...history].slice(0, ORDER);
    this.index.done(index);

    const nodes = this.slopes.map((_, k) => this.sigmas[index - k]);
    const weights = this.slopes.map((_, k) => integrateLagrange(nodes, k, sigma, this.sigmas[index + 1]));
    const terms = this.slopes.map((d, k): Term => [weights[k], d]);
    return { prevSample: combine([1, sample], ...terms), predOriginalSample: new Float32Array(original) };
  }
}

/** ∫ ℓ_k from `from` to `to`, ℓ_k being the polynomial that is 1 at nodes[k] and 0 at the other nodes (at most three). */
function integrateLagrange(nodes: readonly number[], k: number, from: number, to: number): number {
  const basis = (x: number) =>
    nodes.reduce((product, node, j) => (j === k ? product : (product * (x - node)) / (nodes[k] - node)), 1);
  // Gauss's two points are exact for cubics.
  const [middle, half] = [(from + to) / 2, (to - from) / 2];
  const offset = half / Math.sqrt(3);
  return half * (basis(middle - offset) + basis(middle + offset));
}
