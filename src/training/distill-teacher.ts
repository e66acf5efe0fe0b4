/** The teacher of a distillation: draws pictures from noise and tells where it was on the way. */
import { createHash } from 'node:crypto';
import { conversionCoefficients, FORWARD_PROCESS } from '../diffusion/index.js';
import type { CompileOptions } from '../engine/compile.js';
import type { Feed } from '../engine/session.js';
import { InputError } from '../errors.js';
import { classifierFree } from '../guidance/index.js';
import { NetworkRuns } from '../pipelines/forward.js';
import type { LoadedModel } from '../pipelines/index.js';
import { DDIMScheduler, DPMSolverMultistepScheduler, schedulerFromConfig } from '../schedulers/index.js';

function processOf(model: Pick<LoadedModel, 'scheduler'>): Record<string, unknown> {
  const { config } = schedulerFromConfig(model.scheduler);
  return Object.fromEntries(FORWARD_PROCESS.filter((key) => key in config).map((key) => [key, config[key]]));
}

/**
 * The scheduler that a student draws with: DDIM from the noisiest timestep on, which is where it was taught to begin.
 * Nothing is clipped: where a step lands matters, not what picture it passes.
 * @throws InputError for a teacher of another process than DDPM's
 */
export function studentScheduler(model: Pick<LoadedModel, 'scheduler'>): DDIMScheduler {
  return new DDIMScheduler({ ...processOf(model), timestep_spacing: 'trailing', clip_sample: false });
}

export interface TeacherOptions {
  /** Steps of the student. */
  readonly studentSteps: number;
  /** Steps of the teacher for each of them. */
  readonly teacherSteps: number;
  /** 1: none. */
  readonly guidanceScale: number;
}

/** Holds native sessions: call `dispose` when done. */
export class Teacher implements TeacherOptions {
  readonly studentSteps: number;
  readonly teacherSteps: number;
  readonly guidanceScale: number;
  private readonly runs: NetworkRuns;
  private readonly solver: DPMSolverMultistepScheduler;

  /** @throws InputError for more steps than the model has timesteps, or guidance that it was not trained for */
  constructor(
    readonly model: LoadedModel,
    options: TeacherOptions,
    compile: CompileOptions = {},
  ) {
    const { studentSteps, teacherSteps, guidanceScale } = options;
    this.studentSteps = studentSteps;
    this.teacherSteps = teacherSteps;
    this.guidanceScale = guidanceScale;
    const total = studentSteps * teacherSteps;
    const process = processOf(model);
    const timesteps = process.num_train_timesteps as number;
    if (total > timesteps)
      throw new InputError(
        `${studentSteps} steps of ${teacherSteps} of the teacher's are more than its ${timesteps} timesteps — student_steps, teacher_steps — make them fewer`,
      );
    if (guidanceScale !== 1 && model.nullLabel === null)
      throw new InputError(
        `the teacher was not trained for guidance — guidance_scale ${guidanceScale} — leave it out`,
      );
    this.solver = new DPMSolverMultistepScheduler({ ...process, timestep_spacing: 'trailing' });
    this.solver.setTimesteps(total);
    model.network.checkTimesteps(this.solver.timesteps, '--distill');
    // A prediction of ε at pure noise has no answer; better said before the training than in it.
    conversionCoefficients(
      this.solver.config.prediction_type,
      'sample',
      studentScheduler(model).alphasCumprod[timesteps - 1],
    );
    this.runs = new NetworkRuns(model.network, model.unetParams, compile);
  }

  /** Identifies what it teaches. */
  get fingerprint(): string {
    const { model, studentSteps, teacherSteps, guidanceScale } = this;
    const { buffer, byteOffset, byteLength } = model.unetParams;
    return createHash('sha256')
      .update(new Uint8Array(buffer, byteOffset, byteLength))
      .update(JSON.stringify([model.unet, this.solver.config, studentSteps, teacherSteps, guidanceScale]))
      .digest('hex');
  }

  /**
   * Draws pictures by DPM-Solver++ (2M), all at once.
   * @param noise [n, height, width, channels], standard normal
   * @param labels [n], or null for a model without classes
   * @returns where they were at the beginning of each of the student's steps, and at the end of the last: the noise first,
   * the clean samples last
   */
  async walk(noise: Float32Array, labels: Int32Array | null): Promise<Float32Array[]> {
    const { solver, studentSteps, teacherSteps } = this;
    solver.setTimesteps(studentSteps * teacherSteps); // forgets the pictures before
    const states = [noise];
    let sample = noise;
    for (const [i, timestep] of solver.timesteps.entries()) {
      const output = await this.predict(sample, timestep, labels);
      sample = solver.step(output, timestep, sample).prevSample;
      if ((i + 1) % teacherSteps === 0) states.push(sample);
    }
    return states;
  }

  private async predict(
    sample: Float32Array,
    timestep: number,
    labels: Int32Array | null,
  ): Promise<Float32Array> {
    const { model, guidanceScale } = this;
    const [height, width] = sampleSide(model);
    const shape = [height, width, model.unet.in_channels];
    const n = sample.length / shape.reduce((a, b) => a * b);
    const guided = guidanceScale !== 1 && labels !== null;
    const rows = guided ? 2 * n : n;
    const inputs: Record<string, Feed> = {
      sample: { data: guided ? twice(sample) : sample, shape: [rows, ...shape], dtype: 'float32' },
      timesteps: { data: new Float32Array(rows).fill(timestep), shape: [rows], dtype: 'float32' },
    };
    if (labels) {
      const data = new Int32Array(rows).fill(model.nullLabel ?? 0);
      data.set(labels);
      inputs.labels = { data, shape: [rows], dtype: 'int32' };
    }
    const output = await this.runs.run(inputs);
    if (!guided) return output;
    return classifierFree(output.subarray(0, sample.length), output.subarray(sample.length), guidanceScale);
  }

  dispose(): Promise<void> {
    return this.runs.dispose();
  }
}

/** Height and width of the samples that a model was trained on. */
export function sampleSide({ unet }: Pick<LoadedModel, 'unet'>): readonly [number, number] {
  const size = unet.sample_size ?? 32;
  return typeof size === 'number' ? [size, size] : [size[0], size[1]];
}

function twice(values: Float32Array): Float32Array {
  const both = new Float32Array(2 * values.length);
  both.set(values);
  both.set(values, values.length);
  return both;
}
