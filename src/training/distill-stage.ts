/**
 * Distillation of a diffusion model into one that draws in a few steps: a student of the same network, starting from
 * the same weights, learns to land with each of its few steps of DDIM where its teacher lands with several (Salimans &
 * Ho 2022, "Progressive distillation for fast sampling of diffusion models"), guidance included (Meng et al. 2023, "On
 * distillation of guided diffusion models"). Two things are not as in the papers: the student has its few steps from
 * the start rather than half of them again and again, and what it learns from are the teacher's own ways from noise to
 * picture, which are the ways that the student itself will go, and need no data.
 */
import { basename, join } from 'node:path';
import type { JsonObject } from '../checkpoint/json.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { writePipelineDir } from '../checkpoint/write.js';
import { Random } from '../random.js';
import { picturesAStep } from './accumulate.js';
import type { DistillConfig } from './distill-config.js';
import { GROUP, WalkPool, type Walks } from './distill-pool.js';
import { ComparisonSheet } from './distill-sheet.js';
import { landingBatch, landingLoss, studentSteps } from './distill-target.js';
import { sampleSide, studentScheduler, type Teacher } from './distill-teacher.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import { samplePath } from './run-dir.js';

/**
 * Trains the student; the run's `model/` is renewed at every checkpoint.
 * @param dir the teacher's checkpoint, whose other parts the student takes
 * @throws as `runStage`
 */
export async function trainStudent(
  run: string,
  teacher: Teacher,
  dir: PipelineDir,
  config: DistillConfig,
  options: StageOptions,
): Promise<StageResult> {
  const { model, studentSteps: count, guidanceScale } = teacher;
  const { reuse, pool: size, seed } = config;
  const batchSize = picturesAStep(config);
  const scheduler = studentScheduler(model);
  const steps = studentSteps(scheduler, count);
  const sheet = new ComparisonSheet(dir.dir, guidanceScale, {
    engine: options.engine,
    threads: options.threads,
  });
  const random = new Random(seed, 'distillation');
  const shape = [...sampleSide(model), model.unet.in_channels];
  const { length: classes } = model.labels;
  const draw = async (group: number): Promise<Walks> => {
    const noise = random.fork('noise', group).normal(GROUP * shape.reduce((a, b) => a * b));
    const drawn = random.fork('labels', group);
    const labels = classes > 0 ? Int32Array.from({ length: GROUP }, () => drawn.int(classes)) : null;
    return { states: await teacher.walk(noise, labels), labels };
  };
  const pool = new WalkPool(draw, random, { batchSize, reuse, size, signal: options.signal });
  const { specs } = model.network;
  const publish = async (ema: Float32Array, step: number): Promise<JsonObject> => {
    const out = join(run, 'model');
    await writePipelineDir(
      out,
      {
        unet: { ...dir.unet, weights: { specs, params: ema } },
        scheduler: { className: 'DDIMScheduler', config: scheduler.config as JsonObject },
        ...(dir.autoencoder && { autoencoder: dir.autoencoder }),
        ...(dir.refiner && { refiner: dir.refiner }),
        sumi: {
          version: 1,
          ...dir.sumi,
          // It has learned guided pictures, and nothing to lead away from.
          null_label: null,
          defaults: { steps: count, scheduler: 'ddim', guidance_scale: 1 },
          recipe: {
            step,
            teacher: basename(dir.dir),
            guidance_scale: guidanceScale,
            distillation: config as unknown as JsonObject,
            ...(dir.sumi.recipe !== undefined && { teacher_recipe: dir.sumi.recipe }),
          },
        },
      },
      options.dtype,
    );
    await sheet.write(out, samplePath(run, step));
    return {};
  };
  return runStage(
    {
      name: 'distillation',
      dir: run,
      settings: config,
      specs,
      loss: landingLoss(model.network),
      init: () => model.unetParams.slice(),
      batch: async (step) => landingBatch(await pool.at(step), shape, steps),
      fingerprint: fingerprintOf(teacher.fingerprint, seed, batchSize, reuse, size),
      publish,
    },
    options,
  );
}
