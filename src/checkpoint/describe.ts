/** What a checkpoint, a weights file or a run is, as plain data, without loading any weights. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { isDirectory, isFile } from '../files/index.js';
import { type BareComponent, readBareComponent } from './component.js';
import { type JsonObject, parseJson, readJsonObject } from './json.js';
import { type ModelComponent, REFINER_FOLDER, readPipelineDir } from './pipeline.js';
import { openSafetensors } from './safetensors.js';
import { listStates } from './state.js';

/** Totals over the tensors of one weights file or index. */
export interface WeightsSummary {
  readonly path: string;
  readonly tensors: number;
  /** Number of elements in all tensors. */
  readonly parameters: number;
  /** How many elements are stored in each format, e.g. `{F32: 6470000}`. */
  readonly dtypes: Readonly<Record<string, number>>;
  /** Size on disk. */
  readonly bytes: number;
}

export interface WeightsDescription extends WeightsSummary {
  readonly kind: 'weights';
  readonly metadata: Readonly<Record<string, string>>;
  readonly table: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
  }[];
}

export interface ComponentDescription {
  readonly className: string;
  readonly config: JsonObject;
  readonly weights: WeightsSummary;
}

export interface CheckpointDescription {
  readonly kind: 'checkpoint';
  readonly path: string;
  /** The pipeline's class; null for a network by itself. */
  readonly className: string | null;
  readonly parameters: number;
  readonly bytes: number;
  readonly components: Readonly<Record<string, ComponentDescription>>;
  readonly scheduler: { readonly className: string; readonly config: JsonObject } | null;
  /** Of a model that draws from texts. */
  readonly tokenizer: { readonly className: string } | null;
  /** Components of the pipeline that Sumi does not use. */
  readonly otherComponents: readonly string[];
  /** Content of sumi.json: labels, recipe and the like. */
  readonly sumi: JsonObject;
}

export interface RunDescription {
  readonly kind: 'run';
  readonly path: string;
  readonly config: JsonObject;
  /** Last step's line of metrics.jsonl; null before the first. */
  readonly lastMetrics: JsonObject | null;
  /** Steps that have a training state, newest first. */
  readonly checkpoints: readonly { readonly step: number; readonly path: string; readonly bytes: number }[];
  /** The newest checkpoint for generating; null before the first. */
  readonly model: CheckpointDescription | null;
}

async function describe(path: string): Promise<WeightsDescription> {
  const reader = await openSafetensors(path);
  try {
    const dtypes: Record<string, number> = {};
    const table = [...reader.tensors].map(([name, { dtype, shape }]) => {
      const elements = shape.reduce((a, b) => a * b, 1);
      dtypes[dtype] = (dtypes[dtype] ?? 0) + elements;
      return { name, dtype, shape };
    });
    const sizes = await Promise.all(reader.files.map(async (file) => (await stat(file)).size));
    return {
      kind: 'weights',
      path,
      tensors: table.length,
      parameters: Object.values(dtypes).reduce((a, b) => a + b, 0),
      dtypes,
      bytes: sizes.reduce((a, b) => a + b, 0),
      metadata: reader.metadata,
      table,
    };
  } finally {
    await reader.close();
  }
}

/**
 * Describes a safetensors file or index by its header.
 * @throws InputError when it is missing or damaged
 */
export function describeWeights(path: string): Promise<WeightsDescription> {
  return describe(path);
}

async function describeComponent({
  className,
  config,
  weights,
}: ModelComponent): Promise<ComponentDescription> {
  const { path, tensors, parameters, dtypes, bytes } = await describe(weights);
  return { className, config, weights: { path, tensors, parameters, dtypes, bytes } };
}

async function describeTokenizer(dir: string): Promise<{ className: string }> {
  const path = join(dir, 'tokenizer_config.json');
  const config = (await isFile(path)) ? await readJsonObject(path) : {};
  const { tokenizer_class: named } = config;
  return { className: typeof named === 'string' ? named : 'CLIPTokenizer' };
}

/** A network by itself: the one component of a checkpoint that lacks everything else. */
async function describeSingle({ dir, folder, ...model }: BareComponent): Promise<CheckpointDescription> {
  const component = await describeComponent(model);
  const { parameters, bytes } = component.weights;
  return {
    kind: 'checkpoint',
    path: dir,
    className: null,
    parameters,
    bytes,
    components: { [folder]: component },
    scheduler: null,
    tokenizer: null,
    otherComponents: [],
    sumi: (await isFile(join(dir, 'sumi.json'))) ? await readJsonObject(join(dir, 'sumi.json')) : {},
  };
}

/**
 * Describes a checkpoint folder; takes what `readPipelineDir` takes, and a network by itself.
 * @throws InputError when it is none, or a part of it is missing or damaged
 */
export async function describeCheckpoint(path: string): Promise<CheckpointDescription> {
  const single = await readBareComponent(path);
  if (single) return describeSingle(single);
  const pipeline = await readPipelineDir(path);
  const components: Record<string, ComponentDescription> = { unet: await describeComponent(pipeline.unet) };
  if (pipeline.autoencoder) {
    components[pipeline.autoencoder.folder] = await describeComponent(pipeline.autoencoder);
  }
  if (pipeline.refiner) components[REFINER_FOLDER] = await describeComponent(pipeline.refiner);
  if (pipeline.textEncoder) components.text_encoder = await describeComponent(pipeline.textEncoder);
  const sum = (key: 'parameters' | 'bytes') =>
    Object.values(components).reduce((total, { weights }) => total + weights[key], 0);
  return {
    kind: 'checkpoint',
    path: pipeline.dir,
    className: pipeline.className,
    parameters: sum('parameters'),
    bytes: sum('bytes'),
    components,
    scheduler: pipeline.scheduler,
    tokenizer: pipeline.tokenizer === null ? null : await describeTokenizer(pipeline.tokenizer),
    otherComponents: pipeline.otherComponents,
    sumi: pipeline.sumi,
  };
}

/** Whether a folder looks like a run of `sumi train`: it has its own config.json beside metrics, states or a model. */
export async function isRun(dir: string): Promise<boolean> {
  if (!(await isFile(join(dir, 'config.json'))) || (await isFile(join(dir, 'model_index.json'))))
    return false;
  return (
    (await isFile(join(dir, 'metrics.jsonl'))) ||
    (await isDirectory(join(dir, 'checkpoints'))) ||
    (await isDirectory(join(dir, 'model')))
  );
}

/** The last whole line of a step: a run that is being written, or was killed, may end in half a one. */
async function lastMetrics(path: string): Promise<JsonObject | null> {
  const text = await readFile(path, 'utf8').catch(() => '');
  for (const line of text.trimEnd().split('\n').reverse()) {
    try {
      const value = parseJson(line);
      if (typeof value === 'object' && value !== null && 'loss' in value) return value as JsonObject;
    } catch {}
  }
  return null;
}

/**
 * Describes a run directory.
 * @throws InputError when its config or model is damaged
 */
export async function describeRun(path: string): Promise<RunDescription> {
  if (!(await isRun(path))) {
    throw new InputError(
      `no run: it lacks config.json or what training writes — ${path} — name a run of sumi train`,
    );
  }
  const states = await listStates(path);
  const model = join(path, 'model');
  return {
    kind: 'run',
    path,
    config: await readJsonObject(join(path, 'config.json')),
    lastMetrics: await lastMetrics(join(path, 'metrics.jsonl')),
    checkpoints: await Promise.all(
      states.map(async ({ step, dir }) => {
        const info = await stat(join(dir, 'state.safetensors')).catch(() => null);
        return { step, path: dir, bytes: info?.size ?? 0 };
      }),
    ),
    model: (await isDirectory(model)) ? await describeCheckpoint(model) : null,
  };
}
