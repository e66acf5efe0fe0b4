/** `DiffusionPipeline`: a checkpoint that draws. */
import type { Engine } from '../engine/engines.js';
import { requireEngine } from '../engine/engines.js';
import type { Precision } from '../engine/quantize.js';
import { InputError } from '../errors.js';
import type { Target } from '../guidance/index.js';
import { type RgbPicture, toBytes } from '../image/index.js';
import type { LoraFile } from '../lora/index.js';
import { type Churn, requireChurn, type Sampler } from '../schedulers/index.js';
import { Codec } from './codec.js';
import { checkSeed, conditionOf, labelIndex, type ToldOptions } from './conditions.js';
import { type Condition, Denoiser, denoise } from './denoise.js';
import { nothingKept } from './fill-in.js';
import { loadGuide } from './guide-model.js';
import {
  checkGuidance,
  type Denoisers,
  denoiserFor,
  type GuidanceOptions,
  requireGuidance,
  requireLevels,
} from './guided.js';
import { checkLooks, etaOf, type LookOptions, steered, targetsOf } from './looks.js';
import { type LoadedModel, loadModel } from './model.js';
import { checkRng, checkVary, noiseOf, type Rng, variedNoise } from './noise.js';
import { Refiner } from './refine.js';
import { SchedulerChoice } from './scheduler-choice.js';
import { type GenerationEvent, generationEvents } from './steps.js';
import { PromptEncoder } from './text.js';
import { checkSpeed, chunks, oneAtATime, type SpeedOptions, together } from './together.js';

export interface PipelineOptions {
  /** Default 'onnx'. */
  readonly engine?: Engine;
  readonly threads?: number;
  /** What the denoising network's convolutions are computed in; 'int8' for engine onnx alone. Default 'fp32'. */
  readonly precision?: Precision;
  /** LoRA files whose changes are added to the weights, each with a weight of its own (default 1). */
  readonly loras?: readonly (string | LoraFile)[];
  /**
   * A weaker model by name or folder, that guidance leads away from (autoguidance, Karras et al. 2024): an earlier or
   * smaller one of the same training. Default none: from what the model itself predicts without label or text.
   */
  readonly guide?: string;
}

/** What a model that draws from texts is to draw. */
export interface PromptOptions {
  /** What the picture shows. */
  readonly prompt?: string;
  /** What it is not to show: guidance leads away from it. Default "", anything. */
  readonly negativePrompt?: string;
}

export interface SamplingOptions extends PromptOptions, GuidanceOptions, SpeedOptions {
  /** Denoising steps; default the model's own. */
  readonly steps?: number;
  /** Short or class name of another scheduler with the model's noise schedule. */
  readonly scheduler?: string;
  /** DDIM's noise, 0 to 1. Default 0, and 1 where `generate` has a scribble. */
  readonly eta?: number;
  /** Noise that Euler's steps add before they go down. Default none. */
  readonly churn?: Churn;
  /** Weight of classifier-free guidance; 1: none. Default the model's own. */
  readonly guidanceScale?: number;
  /** A label, by name or index, that guidance leads away from. Default none: from what has no label. */
  readonly negativeLabel?: string | number;
  /** Which generator draws the noise; 'torch' makes diffusers' pictures again. Default 'sumi'. */
  readonly rng?: Rng;
}

/** Of what becomes of a picture once it is drawn. */
export interface FinishOptions {
  /** Whether the model's refiner makes pictures larger and sharper. Default true, where there is one. */
  readonly refine?: boolean;
}

export interface GenerateOptions extends SamplingOptions, LookOptions, FinishOptions {
  /** Default 1. */
  readonly count?: number;
  /** Picture i uses seed + i, unless there is `vary`. Default 0. */
  readonly seed?: number;
  /**
   * Draws pictures near that of the seed, in place of those of the seeds after it: how far along the arc from its noise
   * to another, 0 (the same picture) to 1 (nothing of it). Picture i is the same whatever the count.
   */
  readonly vary?: number;
  /**
   * Label, or several that the pictures take in turn, by name or index. By default a picture's seed chooses one.
   */
  readonly label?: string | number | readonly (string | number)[];
  /** Side or [height, width] of the pictures in pixels; default what the model was trained on. */
  readonly size?: number | readonly [number, number];
  readonly signal?: AbortSignal;
  /** Told after each call of the model for each picture; `preview` decodes what the model sees from there. */
  readonly onStep?: (progress: StepProgress) => void | Promise<void>;
  /** Told of each picture when it is done, so that a stopped run keeps what it has. */
  readonly onPicture?: (picture: GeneratedPicture) => void | Promise<void>;
}

/** What decides which pictures there are to be. */
export type PlanOptions = Omit<GenerateOptions, 'signal' | 'onStep' | 'onPicture'>;

export interface StepProgress {
  /** Which picture, from 0. */
  readonly picture: number;
  /** Calls of the model done for this picture: one a step, or two with solvers of higher order. */
  readonly step: number;
  /** Calls it takes. */
  readonly steps: number;
  readonly timestep: number;
  readonly preview: () => Promise<RgbPicture>;
}

export interface GeneratedPicture extends RgbPicture {
  readonly seed: number;
  /** Name of the label; null for a model without labels. */
  readonly label: string | null;
  /** Which of the pictures near that of the seed, from 0, where there is `vary`. */
  readonly variation?: number;
}

/** A picture that is to be drawn. */
export interface PlannedPicture {
  readonly seed: number;
  readonly label: string | null;
  readonly condition: Condition;
  readonly variation?: number;
}

/** A checkpoint, opened for drawing. Call `dispose` when done: it holds native sessions. */
export class DiffusionPipeline {
  readonly denoiser: Denoiser;
  readonly codec: Codec;
  private readonly prompts: PromptEncoder | null;
  private readonly guide: Denoiser | null;
  private readonly refiner: Refiner | null;
  private readonly choice: SchedulerChoice;

  private constructor(
    readonly model: LoadedModel,
    options: PipelineOptions,
    guide: LoadedModel | null,
  ) {
    const compile = { engine: options.engine, threads: options.threads };
    this.prompts = model.text && new PromptEncoder(model.text, compile);
    const network = { ...compile, precision: options.precision };
    this.denoiser = new Denoiser(model.network, model.unetParams, network, this.prompts);
    this.guide = guide && new Denoiser(guide.network, guide.unetParams, network, this.prompts);
    this.codec = new Codec(model, compile);
    this.refiner = model.refiner && new Refiner(model.refiner.network, model.refiner.params, compile);
    this.choice = new SchedulerChoice(model);
  }

  /**
   * Opens a diffusers pipeline directory, or a model that comes with Sumi by its name.
   * @throws InputError when there is no such model, it or a LoRA file does not fit, or the engine cannot run here
   */
  static async fromPretrained(nameOrDir: string, options: PipelineOptions = {}): Promise<DiffusionPipeline> {
    const { engine = 'onnx', precision = 'fp32' } = options;
    requireEngine(engine);
    if (precision !== 'fp32' && engine !== 'onnx')
      throw new InputError(
        `${precision} is not possible with the engine ${engine} — --precision — leave it out, or use --engine onnx`,
      );
    const loras = options.loras?.map((lora) => (typeof lora === 'string' ? { path: lora } : lora));
    const model = await loadModel(nameOrDir, { ...options, loras });
    const guide = options.guide === undefined ? null : await loadGuide(options.guide, model);
    return new DiffusionPipeline(model, options, guide);
  }

  get labels(): readonly string[] {
    return this.model.labels;
  }

  /** Height and width of the pictures that the model was trained on. */
  get pictureSize(): [number, number] {
    const size = this.model.unet.sample_size ?? (this.model.text ? 64 : 32);
    const [h, w] = typeof size === 'number' ? [size, size] : size;
    return [h * this.codec.reduction, w * this.codec.reduction];
  }

  /** What draws unless a call names another: the model's own, or what was set. A fresh one, whose config may be used. */
  get scheduler(): Sampler {
    return this.choice.make();
  }

  /**
   * Sets what draws from now on: a scheduler, whose config is taken, or a name ('dpmsolver'), for the model's noise
   * schedule. null: the model's own.
   * @throws InputError for an unknown name, or one that does not draw with models of this kind
   */
  set scheduler(chosen: Sampler | string | null) {
    this.choice.set(chosen);
  }

  /**
   * A fresh scheduler for some options, with its timesteps set.
   * @throws InputError for an unknown name, steps, eta or churn out of range, or timesteps that the network does not know
   */
  schedulerFor({ scheduler, steps, eta = 0, churn }: SamplingOptions): Sampler {
    if (!(eta >= 0 && eta <= 1))
      throw new InputError(`eta of ${eta} is not possible — --eta — give a number from 0 to 1`);
    const made = this.choice.make(scheduler);
    if (churn) requireChurn(made, churn);
    // A schedule trained with few timesteps has no more of them to visit.
    made.setTimesteps(steps ?? Math.min(this.model.defaults.steps, made.config.num_train_timesteps));
    this.model.network.checkTimesteps(made.timesteps, '--scheduler');
    return made;
  }

  /**
   * Index of a label given by name or index.
   * @param option that gave it, for messages
   * @throws InputError naming the labels there are
   */
  labelIndex(label: string | number, option = '--label'): number {
    return labelIndex(this.model, label, option);
  }

  /** What the network is told for a picture of this seed. @throws InputError for what the model cannot serve */
  condition(
    seed: number,
    label: string | number | undefined,
    guidanceScale?: number,
    told: ToldOptions = {},
  ): Condition & { name: string | null } {
    return conditionOf(this.model, this.guide !== null, seed, label, { ...told, guidanceScale });
  }

  /** Height and width of the sample for pictures of a size. @throws InputError when the network cannot have it */
  sampleSize(size?: number | readonly [number, number]): [number, number] {
    const [h, w] = size === undefined ? this.pictureSize : typeof size === 'number' ? [size, size] : size;
    const unit = this.codec.reduction * this.model.network.unit;
    if (![h, w].every((side) => Number.isInteger(side) && side > 0 && side % unit === 0)) {
      throw new InputError(
        `pictures of ${h}×${w} are not possible — --size — use multiples of ${unit}; the model was trained on ${this.pictureSize.join('×')}`,
      );
    }
    return [h / this.codec.reduction, w / this.codec.reduction];
  }

  /** Decodes a sample to bytes. */
  async decode(sample: Float32Array, size: readonly [number, number]): Promise<RgbPicture> {
    const pixels = await this.codec.decode(sample, size);
    const { reduction } = this.codec;
    return { data: toBytes(pixels), height: size[0] * reduction, width: size[1] * reduction };
  }

  /**
   * What `generate` would draw with these options, one entry a picture: nothing is computed yet.
   * @throws InputError for options that the model cannot serve
   */
  plan(options: PlanOptions = {}): PlannedPicture[] {
    const { count = 1, seed: first = 0, label, vary } = options;
    if (!Number.isInteger(count) || count < 1)
      throw new InputError(`${count} pictures are not possible — --count — give a whole number from 1`);
    checkSeed(first);
    const labels: readonly (string | number | undefined)[] = Array.isArray(label) ? label : [label];
    if (vary !== undefined) checkVary(vary, Math.ceil(count / Math.max(1, labels.length)));
    if (options.rng !== undefined) checkRng(options.rng);
    checkGuidance(options);
    checkSpeed(options, this.model.network, this.sampleSize(options.size));
    const scheduler = this.schedulerFor(options);
    requireLevels(options, scheduler);
    checkLooks(options, scheduler);
    return Array.from({ length: count }, (_, i) => {
      const given = labels.length > 0 ? labels[i % labels.length] : undefined;
      const seed = vary === undefined ? first + i : first;
      const { name, ...condition } = this.condition(seed, given, options.guidanceScale, options);
      requireGuidance(options, this.guide !== null, condition.guidanceScale);
      if (condition.blend && (options.cacheInterval ?? 1) > 1)
        throw new InputError(
          'features cannot be kept where several labels are drawn at once — --fast — leave it out, or give one label',
        );
      return { seed, label: name, condition, ...(vary !== undefined && { variation: i }) };
    });
  }

  /** A plan of whole pictures, of samples of `size`: a model that fills in is shown that nothing is kept. */
  async whole(
    plan: readonly PlannedPicture[],
    size: readonly [number, number],
  ): Promise<readonly PlannedPicture[]> {
    if (!this.model.paints) return plan;
    const channels = await nothingKept(this.codec, size);
    return plan.map((planned) => ({ ...planned, condition: { ...planned.condition, channels } }));
  }

  /**
   * Draws planned pictures, `batchSize` at a time.
   * @param sampleOf denoises the plan's picture i, with the denoisers that stand for the pipeline's
   * @param finish makes a picture of its sample; `onPicture` is told of it at once
   */
  async drawAll<Picture>(
    plan: readonly PlannedPicture[],
    options: SpeedOptions & { readonly onPicture?: (picture: Picture) => void | Promise<void> },
    sampleOf: (picture: PlannedPicture, denoisers: Denoisers, i: number) => Promise<Float32Array>,
    finish: (sample: Float32Array, picture: PlannedPicture) => Promise<Picture>,
  ): Promise<Picture[]> {
    const denoisers = this.guide ? [this.denoiser, this.guide] : [this.denoiser];
    const pictures: Picture[] = [];
    for (const batch of chunks(plan, options.batchSize)) {
      const first = pictures.length;
      const samples = await together(denoisers, batch.length, options, ([own, guide = null], k) =>
        sampleOf(batch[k], { own, guide }, first + k),
      );
      for (const [k, planned] of batch.entries()) {
        const picture = await finish(samples[k], planned);
        pictures.push(picture);
        await options.onPicture?.(picture);
      }
    }
    return pictures;
  }

  /**
   * Draws pictures, one after another unless `batchSize` says otherwise. Picture i of seed s is the picture of seed s + i,
   * whatever the count; in batches, but for rounding.
   * @throws InputError for options that the model cannot serve
   * @throws RunError when the network's numbers stop being numbers
   * @throws the signal's reason when it aborts; pictures done before were given to `onPicture`
   */
  async generate(options: GenerateOptions = {}): Promise<GeneratedPicture[]> {
    const size = this.sampleSize(options.size);
    const plan = await this.whole(this.plan(options), size);
    const targets = await targetsOf(options, size, this.codec.reduction);
    const inTurn = oneAtATime();
    return this.drawAll(
      plan,
      options,
      (planned, denoisers, picture) =>
        this.sample(planned, denoisers, size, targets, options, (progress) =>
          inTurn(() => options.onStep?.({ picture, ...progress })),
        ),
      (sample, planned) => this.finish(sample, planned, size, options),
    );
  }

  /** How many times larger than `pictureSize` finished pictures are along a side. */
  scale({ refine = true }: FinishOptions = {}): number {
    return refine ? (this.refiner?.scale ?? 1) : 1;
  }

  /** A picture of its sample. */
  async finish(
    sample: Float32Array,
    { seed, label, variation }: PlannedPicture,
    size: readonly [number, number],
    { refine = true }: FinishOptions = {},
  ): Promise<GeneratedPicture> {
    const picture = await this.decode(sample, size);
    const refined = refine && this.refiner ? await this.refiner.run(picture) : picture;
    return { ...refined, seed, label, ...(variation !== undefined && { variation }) };
  }

  /** Denoises a picture: [height, width, channels]. */
  private async sample(
    { seed, condition, variation }: PlannedPicture,
    denoisers: Denoisers,
    size: readonly [number, number],
    targets: readonly Target[],
    options: GenerateOptions,
    onStep: (progress: Omit<StepProgress, 'picture'>) => void | Promise<void>,
  ): Promise<Float32Array> {
    const { churn, rng, signal, vary } = options;
    const scheduler = this.schedulerFor(options);
    const eta = etaOf(options, scheduler);
    const steps = scheduler.timesteps.length;
    const own = noiseOf(rng, seed, [...size, this.model.unet.out_channels]);
    const varied = variation !== undefined && vary !== undefined;
    const draw = varied ? variedNoise(own, seed, variation, vary) : own;
    const start = draw('latents');
    for (let k = 0; k < start.length; k++) start[k] *= scheduler.initNoiseSigma;
    const denoiser = denoiserFor(denoisers, scheduler, options);
    return denoise({
      denoiser: steered(denoiser, this.codec, scheduler, targets),
      scheduler,
      sample: start,
      size,
      condition,
      eta,
      churn,
      noise: (index) => draw('variance', index),
      signal,
      onStep: ({ index, timestep, predOriginalSample }) => {
        const preview = () => this.decode(predOriginalSample, size);
        return onStep({ step: index + 1, steps, timestep, preview });
      },
    });
  }

  /**
   * `generate` as a loop: each call of the model and each picture, as it is done; nothing is computed while the loop's
   * body runs, and leaving the loop stops the drawing.
   * @throws what `generate` throws, from the loop
   */
  steps(options: GenerateOptions = {}): AsyncGenerator<GenerationEvent, void, undefined> {
    return generationEvents((hooks) => this.generate({ ...options, ...hooks }), options);
  }

  /** Frees the native sessions. */
  async dispose(): Promise<void> {
    await this.denoiser.dispose();
    await this.guide?.dispose();
    await this.codec.dispose();
    await this.refiner?.dispose();
    await this.prompts?.dispose();
  }
}
