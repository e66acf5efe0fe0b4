/** `sumi export --to onnx`: a checkpoint as ONNX files that any runtime opens, checked before they are declared done. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { formatJson, type JsonObject } from '../checkpoint/json.js';
import { type PipelineDir, readPipelineDir } from '../checkpoint/pipeline.js';
import { DIFFUSERS_VERSION, modelIndex } from '../checkpoint/write.js';
import { OPSET } from '../engine/onnx.js';
import { InputError } from '../errors.js';
import { writeDirectoryAtomically } from '../files/index.js';
import type { LoadedModel } from '../pipelines/model.js';
import { compareFile, type Difference, openFile, requireClose, TOLERANCE } from './check.js';
import { copyNotices, licenceOf, requireFreeFolder } from './folder.js';
import { type GraphFile, graphFiles } from './graphs.js';
import { roundedToHalf } from './half.js';
import { encodeFile, LARGEST_FILE, modelOf } from './model-file.js';
import { loadSource } from './source.js';

export interface OnnxExportOptions {
  /** What weights are stored as; everything is computed in float32. Default fp32. */
  readonly dtype?: 'fp32' | 'fp16';
  /** Side or [height, width] of the pictures in pixels; default what the model was trained on. */
  readonly size?: number | readonly [number, number];
  readonly threads?: number;
  /** What is written into the files as their maker. Default "sumi". */
  readonly producer?: string;
  /** How far results may be off; see `TOLERANCE`, the default. */
  readonly tolerance?: number;
  /** Size that a file may have. */
  readonly maxBytes?: number;
  /** Told of each file before it is made. */
  readonly onFile?: (name: string) => void;
  /** Stops between files. */
  readonly signal?: AbortSignal;
}

export interface ExportedFile {
  readonly path: string;
  readonly bytes: number;
  readonly nodes: number;
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly outputs: Readonly<Record<string, readonly (number | string)[]>>;
  /** Between the file and Sumi's own run of the same weights, for each batch that was tried. */
  readonly differences: readonly Difference[];
  readonly maxAbsDifference: number;
  /** What half precision changed: between the file and the checkpoint's own weights. Null for fp32. */
  readonly rounding: number | null;
}

export interface OnnxExport {
  readonly out: string;
  readonly opset: number;
  readonly dtype: 'fp32' | 'fp16';
  /** Height and width of pictures. */
  readonly size: readonly [number, number];
  readonly licence: string | null;
  readonly files: readonly ExportedFile[];
  readonly maxAbsDifference: number;
}

/** Height and width of the UNet's samples for pictures of `size`. */
function sampleSize(model: LoadedModel, size: OnnxExportOptions['size']): [number, number] {
  const reduction = model.autoencoder?.network.downscale ?? 1;
  const own = model.unet.sample_size ?? 32;
  if (size === undefined) return typeof own === 'number' ? [own, own] : [own[0], own[1]];
  const sides = typeof size === 'number' ? [size, size] : size;
  const odd = sides.find((side) => !Number.isInteger(side) || side < 1 || side % reduction !== 0);
  if (odd !== undefined)
    throw new InputError(`a side of ${odd} is not possible — --size — use a multiple of ${reduction}`);
  return [sides[0] / reduction, sides[1] / reduction];
}

function halved(model: LoadedModel): LoadedModel {
  const { autoencoder, unetParams, dir } = model;
  return {
    ...model,
    unetParams: roundedToHalf(unetParams, path.join(dir, 'unet')),
    autoencoder: autoencoder && {
      ...autoencoder,
      params: roundedToHalf(autoencoder.params, path.join(dir, 'autoencoder')),
    },
  };
}

/** What a program should know of a file, as strings: the properties that ONNX has room for. */
function metadataOf(
  file: GraphFile,
  model: LoadedModel,
  { producer, dtype, licence, size }: Pick<OnnxExport, 'dtype' | 'licence' | 'size'> & { producer: string },
): Record<string, string> {
  const scale = (model.autoencoder?.network.config ?? {}) as Readonly<Record<string, unknown>>;
  const { scheduler, labels, nullLabel } = model;
  const known: Record<string, unknown> = {
    producer,
    model: path.basename(path.resolve(model.dir)),
    license: licence,
    component: file.name,
    class_name: file.name === 'unet' ? 'UNet2DModel' : model.autoencoder?.network.className,
    weights: dtype,
    picture_size: [...size],
    scaling_factor: scale.scaling_factor,
    shift_factor: scale.shift_factor,
    latents_mean: scale.latents_mean,
    latents_std: scale.latents_std,
    prediction_type: scheduler.prediction_type ?? 'epsilon',
    num_train_timesteps: scheduler.num_train_timesteps ?? 1000,
    labels: labels.length > 0 ? labels : null,
    null_label: nullLabel,
  };
  return Object.fromEntries(
    Object.entries(known)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

/** Configs, labels and notices beside the files, as in a diffusers directory. */
async function writeConfigs(
  dir: string,
  source: PipelineDir,
  model: LoadedModel,
  sample: readonly [number, number],
): Promise<void> {
  const put = async (file: string, content: JsonObject) => {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), formatJson(content));
  };
  const named = (className: string, config: object): JsonObject => ({
    ...(config as JsonObject),
    _class_name: className,
    _diffusers_version: DIFFUSERS_VERSION,
  });
  const { unet, scheduler, autoencoder } = source;
  await put(
    'model_index.json',
    modelIndex({
      className: source.className ?? undefined,
      unet,
      scheduler: scheduler ?? { className: String(model.scheduler._class_name) },
      autoencoder: autoencoder ?? undefined,
    }),
  );
  const size = sample[0] === sample[1] ? sample[0] : [...sample];
  await put('unet/config.json', named(unet.className, { ...model.unet, sample_size: size }));
  await put('scheduler/scheduler_config.json', model.scheduler);
  if (autoencoder && model.autoencoder)
    await put(
      `${autoencoder.folder}/config.json`,
      named(autoencoder.className, model.autoencoder.network.config),
    );
  await put('sumi.json', source.sumi);
  await copyNotices(source.dir, dir);
}

/**
 * Writes a checkpoint as ONNX files of standard operators, for batches of any size, with its configs beside them.
 * The folder appears whole, after each file has been run and compared with Sumi, or not at all.
 * @param nameOrDir a checkpoint, a run, or the name of a shipped model
 * @throws InputError when the checkpoint is no good, the folder not empty, or a file would be too large
 * @throws RunError when a file computes anything else than Sumi does
 */
export async function exportOnnx(
  nameOrDir: string,
  out: string,
  options: OnnxExportOptions = {},
): Promise<OnnxExport> {
  const {
    dtype = 'fp32',
    threads,
    producer = 'sumi',
    tolerance = TOLERANCE,
    maxBytes = LARGEST_FILE,
  } = options;
  await requireFreeFolder(out);
  const original = await loadSource(nameOrDir);
  const source = await readPipelineDir(original.dir);
  const sample = sampleSize(original, options.size);
  const reduction = original.autoencoder?.network.downscale ?? 1;
  const size = [sample[0] * reduction, sample[1] * reduction] as const;
  const licence = (await licenceOf(source.dir, source.sumi)) ?? null;
  const model = dtype === 'fp16' ? halved(original) : original;
  const originals = graphFiles(original, sample);

  return writeDirectoryAtomically(out, async (dir) => {
    const files: ExportedFile[] = [];
    for (const [i, file] of graphFiles(model, sample).entries()) {
      const name = `${file.name}.onnx`;
      options.signal?.throwIfAborted();
      options.onFile?.(name);
      const metadata = metadataOf(file, model, { producer, dtype, licence, size });
      const graph = modelOf(file, { metadata, half: dtype === 'fp16' });
      const bytes = encodeFile(graph, name, maxBytes);
      await writeFile(path.join(dir, name), bytes);
      const opened = await openFile(path.join(dir, name), threads);
      try {
        const differences = await compareFile(opened.run, file, { threads });
        requireClose(differences, name, tolerance);
        const rounding =
          dtype === 'fp16' ? worst(await compareFile(opened.run, originals[i], { threads })) : null;
        const ports = (all: typeof graph.inputs) => Object.fromEntries(all.map((v) => [v.name, v.shape]));
        files.push({
          path: path.join(out, name),
          bytes: bytes.length,
          nodes: graph.nodes.length,
          inputs: ports(graph.inputs),
          outputs: ports(graph.outputs),
          differences,
          maxAbsDifference: worst(differences),
          rounding,
        });
      } finally {
        await opened.dispose();
      }
    }
    await writeConfigs(dir, source, model, sample);
    return {
      out,
      opset: OPSET,
      dtype,
      size,
      licence,
      files,
      maxAbsDifference: worst(files.flatMap((f) => f.differences)),
    };
  });
}

const worst = (differences: readonly Difference[]): number =>
  Math.max(...differences.map((d) => d.maxAbsDifference));
