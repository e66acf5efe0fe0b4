/** Opens a checkpoint as what the pipelines work with: configurations, weights, labels, and how to decode. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  AUTOENCODER_CLASS_NAME,
  type AutoencoderConfig,
  autoencoderSpecs,
  decode,
  downscale,
  encode,
  parseAutoencoderConfig,
  scaleLatents,
  unscaleLatents,
} from '../autoencoder/index.js';
import { isDirectory } from '../checkpoint/files.js';
import type { JsonObject } from '../checkpoint/json.js';
import { loadParams } from '../checkpoint/load.js';
import { type PipelineDir, readPipelineDir } from '../checkpoint/pipeline.js';
import { Compiled, type CompileOptions } from '../engine/compile.js';
import type { Params } from '../engine/params.js';
import type { Tensor, Tensor4D } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { parseUNet2DConfig, UNET2D_CLASS_NAME, type UNet2DConfig, unet2dSpecs } from '../unet/index.js';
import { asConstants } from './denoise.js';

/** The model that `sumi generate` uses when none is named. */
export const DEFAULT_MODEL = 'characters';

const here = path.dirname(fileURLToPath(import.meta.url));

/** The folder of shipped models, from src/ as from dist/src/. */
function modelsFolder(): string | undefined {
  return ['../../models', '../../../models']
    .map((p) => path.join(here, p))
    .find((p) => {
      try {
        return readdirSync(p).length >= 0;
      } catch {
        return false;
      }
    });
}

/** Names of the models that come with Sumi. */
export function shippedModels(): string[] {
  const folder = modelsFolder();
  if (!folder) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/**
 * The folder of a model given by path or by a shipped model's name.
 * @throws InputError when there is neither
 */
export async function findModel(nameOrDir: string): Promise<string> {
  if (await isDirectory(nameOrDir)) return nameOrDir;
  const shipped = shippedModels();
  if (shipped.includes(nameOrDir)) return path.join(modelsFolder() as string, nameOrDir);
  const known = shipped.length > 0 ? `a folder, or one of ${shipped.join(', ')}` : 'a folder';
  throw new InputError(`no model ${nameOrDir} — --model — name ${known}`);
}

/** How pictures are drawn unless told otherwise, from sumi.json. */
export interface SamplingDefaults {
  readonly steps: number;
  readonly scheduler?: string;
  readonly guidanceScale: number;
}

export interface LoadedModel {
  readonly dir: string;
  readonly unet: UNet2DConfig;
  readonly unetParams: Float32Array;
  readonly autoencoder: { readonly config: AutoencoderConfig; readonly params: Float32Array } | null;
  readonly scheduler: JsonObject;
  /** Class names, in the order of their indices; empty for a model without classes. */
  readonly labels: readonly string[];
  readonly nullLabel: number | null;
  readonly defaults: SamplingDefaults;
}

/**
 * @throws InputError when the checkpoint is no UNet2D pipeline or its weights do not fit
 */
export async function loadModel(nameOrDir: string): Promise<LoadedModel> {
  const dir = await findModel(nameOrDir);
  const pipeline = await readPipelineDir(dir);
  requireClass(pipeline.unet.className, UNET2D_CLASS_NAME, dir);
  const unet = parseUNet2DConfig(pipeline.unet.config, path.join(dir, 'unet'));
  if (!pipeline.scheduler) {
    throw new InputError(
      `no scheduler — ${dir} — name the whole pipeline directory, which has scheduler/scheduler_config.json`,
    );
  }
  return {
    dir,
    unet,
    unetParams: await loadParams(unet2dSpecs(unet), pipeline.unet.weights),
    autoencoder: await loadAutoencoder(pipeline),
    scheduler: { ...pipeline.scheduler.config, _class_name: pipeline.scheduler.className },
    ...labelsOf(pipeline.sumi, unet, dir),
    defaults: defaultsOf(pipeline.sumi),
  };
}

async function loadAutoencoder({ autoencoder, dir }: PipelineDir): Promise<LoadedModel['autoencoder']> {
  if (!autoencoder) return null;
  requireClass(autoencoder.className, AUTOENCODER_CLASS_NAME, dir);
  const config = parseAutoencoderConfig(autoencoder.config, path.join(dir, autoencoder.folder));
  return { config, params: await loadParams(autoencoderSpecs(config), autoencoder.weights) };
}

function requireClass(found: string, wanted: string, dir: string): void {
  if (found === wanted) return;
  throw new InputError(`a ${found} is not supported — ${dir} — use a checkpoint with a ${wanted}`);
}

function labelsOf(
  sumi: JsonObject,
  unet: UNet2DConfig,
  dir: string,
): Pick<LoadedModel, 'labels' | 'nullLabel'> {
  const rows = unet.num_class_embeds;
  if (rows === null) return { labels: [], nullLabel: null };
  const nullLabel = typeof sumi.null_label === 'number' ? sumi.null_label : null;
  const named = Array.isArray(sumi.labels) ? sumi.labels.map(String) : null;
  const labels = named ?? Array.from({ length: rows }, (_, i) => String(i)).filter((_, i) => i !== nullLabel);
  if (labels.length > rows || (nullLabel !== null && nullLabel >= rows)) {
    throw new InputError(
      `sumi.json names ${labels.length} labels but the network has ${rows} classes — ${dir} — restore the file`,
    );
  }
  return { labels, nullLabel };
}

function defaultsOf(sumi: JsonObject): SamplingDefaults {
  const given = (sumi.defaults ?? {}) as JsonObject;
  return {
    steps: typeof given.steps === 'number' ? given.steps : 50,
    scheduler: typeof given.scheduler === 'string' ? given.scheduler : undefined,
    guidanceScale: typeof given.guidance_scale === 'number' ? given.guidance_scale : 1,
  };
}

/** Between pictures and what the UNet works on: the autoencoder and its scaling, or nothing in pixel space. */
export class Codec {
  private readonly decoder: Compiled | null = null;
  private readonly encoder: Compiled | null = null;
  /** Pixels along a side for one number of the sample. */
  readonly reduction: number;

  constructor(autoencoder: LoadedModel['autoencoder'], options: CompileOptions = {}) {
    this.reduction = autoencoder ? downscale(autoencoder.config) : 1;
    if (!autoencoder) return;
    const { config, params } = autoencoder;
    const specs = autoencoderSpecs(config);
    const weights = (prefix: RegExp) => asConstants(specs, params, (name) => prefix.test(name));
    this.decoder = new Compiled(
      ({ latents, ...rest }: Record<string, Tensor>) => ({
        pictures: decode(config, rest as Params, unscaleLatents(config, latents as Tensor4D)),
      }),
      { name: 'decoder', ...options, constants: weights(/^(decoder|post_quant_conv)\./) },
    );
    this.encoder = new Compiled(
      ({ pictures, ...rest }: Record<string, Tensor>) => ({
        latents: scaleLatents(config, encode(config, rest as Params, pictures as Tensor4D).mean),
      }),
      { name: 'encoder', ...options, constants: weights(/^(encoder|quant_conv)\./) },
    );
  }

  /**
   * @param sample [h, w, channels]
   * @returns the picture, [h·reduction, w·reduction, 3] in about [-1, 1]
   */
  async decode(sample: Float32Array, [h, w]: readonly [number, number]): Promise<Float32Array> {
    if (!this.decoder) return sample;
    const shape = [1, h, w, sample.length / (h * w)];
    return (await this.decoder.run({ latents: { data: sample, shape, dtype: 'float32' } }))
      .pictures as Float32Array;
  }

  /**
   * @param picture [height, width, 3] in [-1, 1]
   * @returns the sample of it that the UNet works on: the mean of the scaled latents, or the pixels themselves
   */
  async encode(picture: Float32Array, [h, w]: readonly [number, number]): Promise<Float32Array> {
    if (!this.encoder) return picture;
    const pictures = { data: picture, shape: [1, h, w, 3], dtype: 'float32' as const };
    return (await this.encoder.run({ pictures })).latents as Float32Array;
  }

  async dispose(): Promise<void> {
    await this.decoder?.dispose();
    await this.encoder?.dispose();
  }
}
