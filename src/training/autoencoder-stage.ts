/** The autoencoder's stage: training it, measuring it, and finding one that is ready. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  type AutoencoderNetwork,
  autoencoderSpecs,
  klNetwork,
  openAutoencoder,
  parseAutoencoderConfig,
} from '../autoencoder/index.js';
import { formatJson, type JsonObject, readJsonObject } from '../checkpoint/json.js';
import { loadParams, saveParams } from '../checkpoint/load.js';
import { type AutoencoderFolder, type ModelComponent, readPipelineDir } from '../checkpoint/pipeline.js';
import { listStates, loadState } from '../checkpoint/state.js';
import { findWeights, WEIGHTS_NAME } from '../checkpoint/weights.js';
import { Batches, type Dataset, floatPictures, mostFrequentShape, sizeAt } from '../data/index.js';
import type { CompileOptions } from '../engine/compile.js';
import { initParams } from '../engine/params.js';
import { InputError } from '../errors.js';
import { isFile, writeFileAtomic } from '../files/index.js';
import { contactSheet, type Size, writePng } from '../image/index.js';
import { Random } from '../random.js';
import { picturesAStep } from './accumulate.js';
import { autoencoderBatch, autoencoderLoss, encodeDataset, reconstruct } from './autoencoder.js';
import type { AutoencoderStage, TrainConfig } from './config.js';
import { autoencoderWeightsFrom } from './init.js';
import { fingerprintOf, runStage, type StageOptions, type StageResult } from './loop.js';
import { samplePath } from './run-dir.js';

/** An autoencoder that is ready for the diffusion stage. */
export interface TrainedAutoencoder {
  readonly network: AutoencoderNetwork;
  readonly params: Float32Array;
  /** Where its checkpoint keeps it; the default of `writePipelineDir` for one that a run trained. */
  readonly folder?: AutoencoderFolder;
}

/** The autoencoder of a checkpoint, or of a folder `autoencoder` of a run. */
export async function readAutoencoder(dir: string, size: number): Promise<TrainedAutoencoder> {
  if (await isFile(join(dir, 'model', 'config.json'))) return readOwnAutoencoder(dir, size);
  const { autoencoder } = await readPipelineDir(dir);
  if (autoencoder) return { ...(await loadAutoencoder(autoencoder, dir, size)), folder: autoencoder.folder };
  throw new InputError(
    `no autoencoder — ${dir} — train one with --stage autoencoder, or name a latent model`,
  );
}

/** The autoencoder that a run trained itself. */
export async function readOwnAutoencoder(dir: string, size: number): Promise<TrainedAutoencoder> {
  const model = join(dir, 'model');
  if (!(await isFile(join(model, 'config.json')))) {
    throw new InputError(
      `the autoencoder is not trained to its end — ${dir} — go on with --stage autoencoder, or leave --stage out`,
    );
  }
  const config = await readJsonObject(join(model, 'config.json'));
  const weights = await findWeights(model);
  return loadAutoencoder({ className: AUTOENCODER_CLASS_NAME, config, weights }, dir, size);
}

async function loadAutoencoder(
  { className, config, weights }: ModelComponent,
  where: string,
  size: number,
): Promise<TrainedAutoencoder> {
  const sized = 'sample_size' in config ? { ...config, sample_size: size } : config;
  const network = openAutoencoder(className, sized, where);
  if (network.config.in_channels !== 3) {
    throw new InputError(
      `an autoencoder of pictures with ${network.config.in_channels} channels — ${where} — use one of RGB pictures`,
    );
  }
  return { network, params: await loadParams(network.specs, weights) };
}

/** The weights of a checkpoint's autoencoder for another to start from. @throws InputError when that is another network */
export async function startOf(
  dir: string,
  network: AutoencoderNetwork,
  fresh: Float32Array,
  size: number,
): Promise<Float32Array> {
  return autoencoderWeightsFrom(await readAutoencoder(dir, size), network, fresh, dir);
}

/**
 * Trains an autoencoder, measures its latents' scale and writes it to `dir`/model; one that is ready is not trained
 * again.
 * @param initFrom a checkpoint whose autoencoder's weights it starts from
 */
export async function trainAutoencoder(
  dir: string,
  dataset: Dataset,
  config: TrainConfig,
  settings: AutoencoderStage,
  options: StageOptions,
  initFrom: string | null,
): Promise<StageResult> {
  const model = parseAutoencoderConfig({ ...settings.model, sample_size: config.size });
  const specs = autoencoderSpecs(model);
  const random = new Random(config.seed, 'autoencoder');
  const batches = new Batches(dataset, {
    batchSize: picturesAStep(settings),
    seed: config.seed,
    augment: config.augment,
  });
  const fingerprint = fingerprintOf(
    dataset.fingerprint,
    model,
    config.seed,
    picturesAStep(settings),
    config.augment,
  );
  const finished = options.newLength ? null : await finishedAutoencoder(dir);
  if (finished?.fingerprint === fingerprint) {
    // A state that turns out to be damaged is left to runStage, which falls back to an older one.
    const state = await loadState(finished.dir).catch(() => null);
    if (state) {
      const { params, ema } = state.arrays;
      return { ...finished, loss: Number.NaN, params, ema, interrupted: false };
    }
  }
  // Weights and scaling factor belong together: until both are new, there are none.
  await rm(join(dir, 'model'), { recursive: true, force: true });
  const result = await runStage(
    {
      name: 'autoencoder',
      dir,
      settings,
      specs,
      loss: autoencoderLoss(model, settings),
      init: () => {
        const fresh = initParams(specs, random.fork('init'));
        return initFrom ? startOf(initFrom, klNetwork(model), fresh, config.size) : fresh;
      },
      batch: autoencoderBatch(model, batches, random, settings.latent_noise),
      fingerprint,
      publish: async (ema, step) => {
        await writeReconstructions(samplePath(dir, step), dataset, model, ema, options);
        return {};
      },
    },
    options,
  );
  if (result.interrupted) return result;
  options.onNote?.('measuring the latents');
  const unscaled = klNetwork({ ...model, scaling_factor: 1 });
  const { std } = await encodeDataset(unscaled, result.ema, dataset, options);
  const measured = { ...model, scaling_factor: Number((1 / std).toPrecision(6)) };
  await saveParams(specs, result.ema, join(dir, 'model', WEIGHTS_NAME));
  await writeFileAtomic(
    join(dir, 'model', 'config.json'),
    formatJson({ _class_name: AUTOENCODER_CLASS_NAME, ...measured } as unknown as JsonObject),
  );
  return result;
}

/** Where the newest state of an autoencoder stands that is trained to its end and measured; else null. */
export async function finishedAutoencoder(
  dir: string,
): Promise<{ step: number; steps: number; seconds: number; fingerprint: unknown; dir: string } | null> {
  const [newest] = await listStates(dir);
  const read = (path: string) => readJsonObject(path).catch(() => null);
  if (!newest || !(await read(join(dir, 'model', 'config.json')))) return null;
  const { counters } = ((await read(join(newest.dir, 'state.json'))) ?? {}) as { counters?: JsonObject };
  if (!counters) return null;
  const [step, steps] = [Number(counters.step), Number(counters.steps)];
  if (!(steps > 0 && step >= steps)) return null;
  return {
    step,
    steps,
    seconds: Number(counters.seconds),
    fingerprint: counters.fingerprint,
    dir: newest.dir,
  };
}

/** A sheet of some pictures of a dataset and what an autoencoder makes of them. */
export async function writeReconstructions(
  path: string,
  dataset: Dataset,
  model: AutoencoderConfig,
  params: Float32Array,
  options: CompileOptions,
): Promise<void> {
  const alike = mostFrequentShape(dataset);
  const shown = spread(alike.length, 16).map((k) => alike[k]);
  const size = sizeAt(dataset, shown[0]);
  const data = floatPictures(dataset, shown);
  const shape = [shown.length, size.height, size.width, 3];
  const made = await reconstruct(model, params, { data, shape, dtype: 'float32' }, options);
  await writePng(path, await sideBySide(data, made, size));
}

/** Evenly spread picture numbers. */
function spread(total: number, wanted: number): number[] {
  const n = Math.min(total, wanted);
  return Array.from({ length: n }, (_, i) => Math.floor((i * total) / n));
}

/** Originals above their reconstructions. */
async function sideBySide(originals: Float32Array, made: Float32Array, size: Size) {
  const each = size.width * size.height * 3;
  const cut = (from: Float32Array, i: number) => ({
    data: from.slice(i * each, (i + 1) * each),
    ...size,
  });
  const n = originals.length / each;
  const half = Math.min(8, n);
  const rows: ReturnType<typeof cut>[] = [];
  for (let start = 0; start < n; start += half) {
    for (let i = start; i < Math.min(n, start + half); i++) rows.push(cut(originals, i));
    for (let i = start; i < Math.min(n, start + half); i++) rows.push(cut(made, i));
  }
  return contactSheet(rows, { columns: half });
}
