/**
 * The interface that all schedulers share (diffusers' SchedulerMixin). A scheduler does the mathematics of
 * sampling only: the model's output comes in, the next sample goes out; it neither runs a network nor draws
 * noise. Samples are flat Float32Arrays of any shape, one picture or a whole batch; coefficients are float64.
 */
import type { PredictionType } from '../diffusion/prediction.js';

/** What the config of every scheduler for DDPM's process has, by diffusers' keys. */
export interface BaseSchedulerConfig {
  num_train_timesteps: number;
  prediction_type: PredictionType;
  [key: string]: unknown;
}

/** S_churn, S_tmin, S_tmax and S_noise of Karras et al. 2022, algorithm 2. */
export interface Churn {
  /** How much noise all steps together add, from 0; each of n steps goes back up by churn/n, by √2 − 1 at most. */
  readonly amount: number;
  /** Noise levels σ at which it is added. Default all. */
  readonly min?: number;
  readonly max?: number;
  /** Standard deviation of the noise, about 1, the default. */
  readonly noise?: number;
}

export interface StepOptions {
  /** Weight of the noise in a step of DDIM: 0 deterministic (the default) to 1, as noisy as DDPM. TCD's γ, too. */
  eta?: number;
  /** Gives standard normal noise of the sample's shape; called at most once per step, and only if it is needed. */
  noise?: () => Float32Array;
  /** DDIM: derive ε anew from the clipped x_0 (diffusers' use_clipped_model_output). */
  useClippedModelOutput?: boolean;
  /** Euler's and EDM's noise on the way (Karras et al. 2022, algorithm 2). Default none. */
  churn?: Churn;
  /** How many pictures lie in the arrays; dynamic thresholding looks at each one by itself. Default 1. */
  batchSize?: number;
}

export interface StepResult {
  /** The sample at the next (less noisy) timestep. */
  prevSample: Float32Array;
  /** The picture x_0 that the model sees from here, after clipping: for previews and guidance. */
  predOriginalSample: Float32Array;
}

/** What all schedulers have. Those for other models than DDPM's are no more than this. */
export interface Sampler {
  readonly config: Readonly<{ num_train_timesteps: number; [key: string]: unknown }>;
  /** The timesteps to visit, from the noisiest; the model is called once at each. Some solvers repeat some. */
  timesteps: number[];
  /**
   * Indices in `timesteps` where a step begins, for solvers that call the model several times a step; absent for
   * the others. Between them the sample is on its way: runs start, and samples are changed, at these only.
   */
  readonly starts?: readonly number[];
  /** What `eta` is unless told otherwise, where that is not 0. */
  readonly defaultEta?: number;
  /** Standard deviation of the noise that sampling starts from. */
  readonly initNoiseSigma: number;
  /**
   * Chooses the timesteps: a number of steps, spaced as the config says, or the timesteps themselves (integers,
   * falling). Also forgets the history of multistep solvers.
   * @throws InputError for a number outside 1 … num_train_timesteps or timesteps that are not as said
   */
  setTimesteps(steps: number | readonly number[]): void;
  /** The sample as the model wants to see it at this timestep (the very array passed in where nothing changes). */
  scaleModelInput(sample: Float32Array, timestep: number): Float32Array;
  /**
   * One step of sampling.
   * @param modelOutput the model's answer for `scaleModelInput(sample, timestep)`, of the sample's shape
   * @throws InputError for unequal shapes, a timestep outside the schedule, or noise that is needed and missing
   */
  step(modelOutput: Float32Array, timestep: number, sample: Float32Array, options?: StepOptions): StepResult;
  /** The timestep that a step from `timestep` leads to; below 0 where that is the clean picture. */
  previousTimestep(timestep: number): number;
  /** `original` with noise of the level of `timestep`: where sampling from that timestep starts. */
  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array;
  /** The content of scheduler_config.json. */
  toConfig(): Record<string, unknown>;
}

/** A scheduler for models of DDPM's process: of ε, x_0 or v at whole timesteps. */
export interface Scheduler extends Sampler {
  readonly config: Readonly<BaseSchedulerConfig>;
  /** ᾱ_t of each training timestep, [num_train_timesteps]. */
  readonly alphasCumprod: Float64Array;
  /** ᾱ of the level at which the model is called at a timestep, for those whose levels lie between timesteps. */
  alphaProd?(timestep: number): number;
}

/** Indices in `timesteps` where a step begins: as many as there are steps. */
export function stepStarts({ starts, timesteps }: Pick<Sampler, 'starts' | 'timesteps'>): readonly number[] {
  return starts ?? timesteps.map((_, i) => i);
}
