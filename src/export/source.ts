/** The checkpoint that is to be exported: a pipeline, or one network of one. */
import { type AutoencoderNetwork, openAutoencoder } from '../autoencoder/index.js';
import { type BareComponent, readBareComponent } from '../checkpoint/component.js';
import type { JsonObject } from '../checkpoint/json.js';
import { loadParams } from '../checkpoint/load.js';
import { type AutoencoderFolder, type PipelineDir, readPipelineDir } from '../checkpoint/pipeline.js';
import { findModel, type LoadedModel, loadModel } from '../pipelines/model.js';
import { type ClipTextConfig, clipTextName, clipTextSpecs, parseClipTextConfig } from '../text/index.js';
import { openUNet, type UNetNetwork } from '../unet/index.js';

/** The networks of a checkpoint, each of which may be missing. */
export interface ModelParts {
  readonly network: UNetNetwork | null;
  /** The UNet's, empty without one. */
  readonly unetParams: Float32Array;
  readonly autoencoder: { readonly network: AutoencoderNetwork; readonly params: Float32Array } | null;
  readonly text: {
    readonly config: ClipTextConfig;
    readonly params: Float32Array;
    /** Tokens of a text. */
    readonly tokenizer: { readonly data: { readonly maxLength: number } };
  } | null;
}

/** A checkpoint and where it came from. */
export interface ExportSource extends ModelParts {
  readonly dir: string;
  /** Null for a network by itself. */
  readonly model: LoadedModel | null;
  readonly pipeline: PipelineDir | null;
  /** The network by itself, null for a pipeline. */
  readonly single: BareComponent | null;
  readonly sumi: JsonObject;
}

/** The folder of a pipeline's autoencoder. */
export const coderFolder = ({ pipeline }: ExportSource): AutoencoderFolder =>
  pipeline?.autoencoder?.folder ?? 'vae';

/** A text encoder's config as the checkpoint has it. */
export const originalTextConfig = ({ single, pipeline }: ExportSource): JsonObject =>
  single?.config ?? pipeline?.textEncoder?.config ?? {};

/** A pipeline's scheduler; the one that Sumi draws with where the checkpoint has none. */
export const schedulerOf = (pipeline: PipelineDir, model: LoadedModel) =>
  pipeline.scheduler ?? { className: String(model.scheduler._class_name), config: model.scheduler };

async function loadSingle(single: BareComponent): Promise<ExportSource> {
  const { dir, folder, className, config, weights } = single;
  const none = { network: null, unetParams: new Float32Array(0), autoencoder: null, text: null };
  const base = { ...none, dir, single, model: null, pipeline: null, sumi: {} };
  if (folder === 'unet') {
    const network = openUNet(className, config, dir);
    return { ...base, network, unetParams: await loadParams(network.specs, weights) };
  }
  if (folder === 'text_encoder') {
    const parsed = parseClipTextConfig(config, dir);
    const params = await loadParams(clipTextSpecs(parsed), weights, clipTextName);
    const tokenizer = { data: { maxLength: parsed.max_position_embeddings } };
    return { ...base, text: { config: parsed, params, tokenizer } };
  }
  const network = openAutoencoder(className, config, dir);
  return { ...base, autoencoder: { network, params: await loadParams(network.specs, weights) } };
}

/**
 * Loads a pipeline with all its networks, or a network by itself.
 * @throws InputError when it is no good
 */
export async function loadSource(nameOrDir: string): Promise<ExportSource> {
  const single = await readBareComponent(await findModel(nameOrDir));
  if (single) return loadSingle(single);
  const model = await loadModel(nameOrDir);
  const { network, unetParams, autoencoder, text } = model;
  const pipeline = await readPipelineDir(model.dir);
  const { dir, sumi } = pipeline;
  return { dir, model, pipeline, single: null, sumi, network, unetParams, autoencoder, text };
}
