/**
 * Diffusion of a mixture of Gaussians in one dimension, where everything is known: the best model, and the exact path
 * of the probability-flow ODE. The ODE keeps the order of its samples, so a sample stays at its quantile.
 */
import { convertPrediction } from '../../src/diffusion/index.js';
import {
  type Sampler,
  type Scheduler,
  type StepOptions,
  samplerFromConfig,
  schedulerFromConfig,
  stepStarts,
} from '../../src/schedulers/index.js';

const MIXTURE = [
  { weight: 0.35, mean: -1.1, deviation: 0.25 },
  { weight: 0.45, mean: 0.4, deviation: 0.4 },
  { weight: 0.2, mean: 1.6, deviation: 0.2 },
];
const QUANTILES = [0.02, 0.1, 0.25, 0.4, 0.6, 0.75, 0.85, 0.95];

/** Standard normal distribution function, by its series (Abramowitz & Stegun 26.2.10). */
function normalCdf(x: number): number {
  if (Math.abs(x) > 7) return x > 0 ? 1 : 0;
  let term = x;
  let sum = x;
  for (let k = 1; Math.abs(term) > 1e-18 * Math.abs(sum) && k < 500; k++) {
    term *= (-x * x * (2 * k - 1)) / (2 * k * (2 * k + 1));
    sum += term;
  }
  return 1 / 2 + sum / Math.sqrt(2 * Math.PI);
}

/** Distribution function of the mixture with noise σ, x = x_0 + σ·ε. */
export function mixtureCdf(x: number, sigma: number): number {
  const parts = MIXTURE.map((m) => m.weight * normalCdf((x - m.mean) / Math.hypot(m.deviation, sigma)));
  return parts.reduce((a, b) => a + b);
}

/** Its inverse. */
function atQuantile(q: number, sigma: number): number {
  let [low, high] = [-10 - 6 * sigma, 10 + 6 * sigma];
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (mixtureCdf(middle, sigma) < q) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** E[x_0 | x_0 + σ·ε = x]. */
function denoise(x: number, sigma: number): number {
  let [sum, total] = [0, 0];
  for (const { weight, mean, deviation } of MIXTURE) {
    const variance = deviation ** 2 + sigma ** 2;
    const likelihood = (weight * Math.exp(-((x - mean) ** 2) / (2 * variance))) / Math.sqrt(variance);
    sum += likelihood * (mean + (deviation ** 2 / variance) * (x - mean));
    total += likelihood;
  }
  return sum / total;
}

/** ᾱ at a timestep that may lie between two, linear in σ. */
function alphaProdAt({ alphasCumprod }: Scheduler, t: number): number {
  const sigma = (at: number) => Math.sqrt(1 / alphasCumprod[at] - 1);
  const low = Math.floor(t);
  return 1 / ((sigma(low) + (t - low) * (sigma(Math.ceil(t)) - sigma(low))) ** 2 + 1);
}

/**
 * Noise levels from 0.05 to 10 at equal ratios, so that equal steps are equal ones of log σ; so many that timesteps are
 * as good as continuous.
 */
const T = 20000;
const sigmas = Array.from({ length: T }, (_, t) => 0.05 * 200 ** (t / (T - 1)));
const alphaProds = sigmas.map((sigma) => 1 / (1 + sigma ** 2));
const SCHEDULE = {
  num_train_timesteps: T,
  trained_betas: alphaProds.map((alphaProd, t) => 1 - alphaProd / (t === 0 ? 1 : alphaProds[t - 1])),
};

/** Solvers whose samples are x_0 + σ·ε rather than DDPM's x_t. */
const EXPLODING = ['euler', 'euler-a', 'heun', 'dpm2', 'dpm2-a', 'lms'];

/** Whether the last step, out of the cleanest timestep, is one to σ = 0: it is left out. */
const endsAtZero = (name: string, { final_sigmas_type }: Record<string, unknown>) =>
  name !== 'deis' && final_sigmas_type !== 'sigma_min';

interface Run {
  sample: Float32Array;
  /** σ that the sample has, and what it is to be divided by to be x_0 + σ·ε. */
  sigma: number;
  scale: number;
}

/**
 * Solves from the noisiest timestep down to the cleanest with the best model.
 * @param start x_0 + σ·ε for the σ that it is given
 */
export function runMixture(
  name: string,
  config: Record<string, unknown>,
  steps: number,
  start: (sigma: number) => number[],
  options: StepOptions = {},
): Run {
  const scheduler = schedulerFromConfig({ ...SCHEDULE, clip_sample: false, ...config }, name);
  scheduler.setTimesteps(steps);
  const levelAt = (t: number) => {
    const alphaProd = alphaProdAt(scheduler, t);
    const sigma = Math.sqrt(1 / alphaProd - 1);
    return { alphaProd, sigma, scale: EXPLODING.includes(name) ? 1 : Math.sqrt(alphaProd) };
  };
  const first = levelAt(scheduler.timesteps[0]);
  let sample: Float32Array = Float32Array.from(start(first.sigma), (x) => first.scale * x);
  const calls = endsAtZero(name, config) ? stepStarts(scheduler).at(-1) : undefined;
  for (const t of scheduler.timesteps.slice(0, calls)) {
    const { alphaProd, sigma } = levelAt(t);
    const seen = scheduler.scaleModelInput(sample, t);
    const original = seen.map((x) => denoise(x / Math.sqrt(alphaProd), sigma));
    const type = scheduler.config.prediction_type;
    const output = convertPrediction(original, seen, alphaProd, 'sample', type);
    sample = scheduler.step(output, t, sample, options).prevSample;
  }
  return { sample, ...levelAt(0) };
}

/** The largest error at any of the quantiles. */
export function mixtureError(name: string, config: Record<string, unknown>, steps: number): number {
  const start = (sigma: number) => QUANTILES.map((q) => atQuantile(q, sigma));
  const { sample, sigma, scale } = runMixture(name, config, steps, start);
  return Math.max(...QUANTILES.map((q, i) => Math.abs(sample[i] / scale - atQuantile(q, sigma))));
}

/** A process other than DDPM's: what x is at a timestep, α·x_0 + σ·ε, and what its models predict of it. */
interface Process {
  level(timestep: number): { alpha: number; sigma: number };
  /** @param original E[x_0 | x] */
  output(original: number, x: number, at: { alpha: number; sigma: number }): number;
  /** σ/α that a run ends at. */
  end: number;
}

const EDM_DATA = 0.5;
const edm: Process = {
  level: (t) => ({ alpha: 1, sigma: Math.exp(4 * t) }),
  output: (original, x, { sigma }) => {
    const norm = Math.hypot(sigma, EDM_DATA);
    return ((original - (EDM_DATA / norm) ** 2 * x) * norm) / (sigma * EDM_DATA);
  },
  end: 0.05,
};
const edmConfig = { sigma_min: 0.05, sigma_max: 10, sigma_data: EDM_DATA, final_sigmas_type: 'sigma_min' };
const flow: Process = {
  level: (t) => ({ alpha: 1 - t / T, sigma: t / T }),
  output: (original, x, { sigma }) => (x - original) / sigma,
  end: 0,
};
const circle: Process = {
  level: (t) => ({ alpha: Math.cos((t * Math.PI) / 2), sigma: Math.sin((t * Math.PI) / 2) }),
  output: (original, x, { alpha, sigma }) => (alpha * x - original) / sigma,
  end: 0,
};
const PROCESSES: Record<string, [Process, Record<string, unknown>]> = {
  EDMEulerScheduler: [edm, edmConfig],
  EDMDPMSolverMultistepScheduler: [edm, edmConfig],
  FlowMatchEulerDiscreteScheduler: [flow, {}],
  FlowMatchHeunDiscreteScheduler: [flow, {}],
  IPNDMScheduler: [circle, {}],
};

/** The largest error at any of the quantiles, with a scheduler for models of another process. */
export function otherError(name: string, config: Record<string, unknown>, steps: number): number {
  const [process, own] = PROCESSES[name];
  const scheduler: Sampler = samplerFromConfig({ num_train_timesteps: T, ...own, ...config }, name);
  scheduler.setTimesteps(steps);
  // Of noise alone x_0 is unknown; a level that is all but that will do.
  const ratio = ({ alpha, sigma }: { alpha: number; sigma: number }) => sigma / Math.max(alpha, 1e-6);
  const first = process.level(scheduler.timesteps[0]);
  const start = (q: number) => (first.sigma * atQuantile(q, ratio(first))) / ratio(first);
  let sample: Float32Array = Float32Array.from(QUANTILES, start);
  for (const t of scheduler.timesteps) {
    const at = process.level(t);
    const output = sample.map((x) => process.output(denoise((x * ratio(at)) / at.sigma, ratio(at)), x, at));
    sample = scheduler.step(output, t, sample).prevSample;
  }
  return Math.max(...QUANTILES.map((q, i) => Math.abs(sample[i] - atQuantile(q, process.end))));
}
