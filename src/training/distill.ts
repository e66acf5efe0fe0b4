/** `distill`: a model in, a model that draws in a few steps out. */
import { join, resolve } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import { type PipelineDir, readPipelineDir } from '../checkpoint/pipeline.js';
import { isCompiled, useEagerBackend } from '../engine/engines.js';
import { InputError } from '../errors.js';
import { loadModel } from '../pipelines/index.js';
import { requireAccumulation } from './accumulate.js';
import { type DistillConfig, parseDistillConfig } from './distill-config.js';
import { trainStudent } from './distill-stage.js';
import { Teacher } from './distill-teacher.js';
import { lockRun } from './lock.js';
import type { StageOptions } from './loop.js';
import { createRunDir } from './run-dir.js';
import type { ResumeOptions, TrainResult } from './train.js';

export interface DistillOptions extends StageOptions {
  /** The model that teaches, by folder or name. */
  readonly teacher: string;
  /** Run directory, made new. */
  readonly out: string;
  readonly config: DistillConfig;
}

/**
 * Trains a model that draws in a few evaluations what another draws in many.
 * @throws InputError when the teacher, the configuration or `out` is no good
 * @throws RunError when training diverges or a file cannot be written
 */
export async function distill(options: DistillOptions): Promise<TrainResult> {
  const { config } = options;
  requireAccumulation(options.engine, config);
  const run = resolve(options.out);
  const opened = await openTeacher(options.teacher, config, options);
  const unlock = await createRunDir(run, {
    teacher: resolve(opened.dir.dir),
    minutes: options.minutes ?? null,
    config: config as unknown as JsonObject,
  });
  try {
    return await runStudent(run, opened, config, options);
  } finally {
    await unlock();
  }
}

/** Whether a run's config.json is a distillation's. */
export const isDistillation = (saved: JsonObject): boolean => typeof saved.teacher === 'string';

/**
 * Goes on with a distillation, bit for bit as if it had not stopped.
 * @param saved the run's config.json
 * @throws InputError when the run or its teacher cannot be used
 */
export async function resumeDistillation(
  run: string,
  saved: JsonObject,
  options: ResumeOptions,
): Promise<TrainResult> {
  const other = (['data', 'stage', 'cache'] as const).find((name) => options[name] !== undefined);
  if (other) throw new InputError(`a distillation has none — --${other} — leave it out`);
  const parsed = parseDistillConfig(saved.config, join(run, 'config.json'));
  const { steps = parsed.steps, learningRate = parsed.learning_rate } = options;
  const config = { ...parsed, steps, learning_rate: learningRate };
  const opened = await openTeacher(saved.teacher as string, config, options);
  const newLength = options.steps !== undefined || options.minutes !== undefined;
  const minutes = newLength ? options.minutes : ((saved.minutes as number | null | undefined) ?? undefined);
  const unlock = await lockRun(run);
  try {
    return await runStudent(run, opened, config, { ...options, minutes, newLength });
  } finally {
    await unlock();
  }
}

interface OpenedTeacher {
  readonly teacher: Teacher;
  readonly dir: PipelineDir;
}

/** @throws InputError for a model that is none, or that cannot be distilled */
async function openTeacher(
  nameOrDir: string,
  config: DistillConfig,
  { engine = 'onnx', threads, onNote }: StageOptions,
): Promise<OpenedTeacher> {
  const model = await loadModel(nameOrDir).catch((error: unknown) => {
    if (error instanceof InputError)
      throw new InputError(error.message.replace('— --model —', '— --distill —'));
    throw error;
  });
  if (model.network.textChannels !== null)
    throw new InputError(
      `the model draws from texts — --distill ${nameOrDir} — distil a model of labels, or of pictures alone`,
    );
  if (model.paints)
    throw new InputError(
      `the model fills in parts of pictures — --distill ${nameOrDir} — distil the model that it was made from`,
    );
  if (!isCompiled(engine)) await useEagerBackend(engine);
  const { nullLabel, defaults } = model;
  const teacher = new Teacher(
    model,
    {
      studentSteps: config.student_steps,
      teacherSteps: config.teacher_steps,
      guidanceScale: config.guidance_scale ?? (nullLabel === null ? 1 : defaults.guidanceScale),
    },
    { engine, threads, onBuild: () => onNote?.('building the teacher’s graph') },
  );
  return { teacher, dir: await readPipelineDir(model.dir) };
}

async function runStudent(
  run: string,
  { teacher, dir }: OpenedTeacher,
  config: DistillConfig,
  options: StageOptions,
): Promise<TrainResult> {
  try {
    const result = await trainStudent(run, teacher, dir, config, options);
    return {
      run,
      model: join(run, 'model'),
      stages: [{ ...result, name: 'distillation' }],
      pictures: 0,
      skipped: 0,
      labels: teacher.model.labels,
      interrupted: result.interrupted,
    };
  } finally {
    await teacher.dispose();
  }
}
