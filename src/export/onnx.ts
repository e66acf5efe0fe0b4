/** `sumi export --to onnx`: a checkpoint as ONNX files that any runtime opens, checked before they are declared done. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { OPSET } from '../engine/onnx.js';
import { InputError } from '../errors.js';
import { writeDirectoryAtomically } from '../files/index.js';
import { compareFile, type Difference, openFile, requireClose, TOLERANCE } from './check.js';
import { writeConfigs } from './configs.js';
import { licenceOf, requireFreeFolder } from './folder.js';
import { type GraphFile, graphFiles } from './graphs.js';
import { roundedToHalf } from './half.js';
import { encodeFile, LARGEST_FILE, modelOf } from './model-file.js';
import { type ExportSource, loadSource, type ModelParts } from './source.js';

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
  /** Height and width of pictures; null for a text encoder by itself. */
  readonly size: readonly [number, number] | null;
  readonly licence: string | null;
  readonly files: readonly ExportedFile[];
  readonly maxAbsDifference: number;
}

/** Side of the latents of an autoencoder by itself whose config does not say what it was trained on. */
const LATENTS = 32;

/** Height and width of the UNet's samples for pictures of `size`; null where a checkpoint has to do with no pictures. */
function sampleSize(
  { network, autoencoder, text }: ModelParts,
  size: OnnxExportOptions['size'],
): [number, number] | null {
  if (!network && !autoencoder) {
    if (size === undefined) return null;
    throw new InputError('a text encoder has no size — --size — leave it out');
  }
  const reduction = autoencoder?.network.downscale ?? 1;
  if (size === undefined) {
    const own = network ? network.config.sample_size : undefined;
    if (own) return typeof own === 'number' ? [own, own] : [own[0], own[1]];
    if (network) return text || network.textChannels !== null ? [64, 64] : [32, 32];
    const { sample_size: pictures } = { sample_size: undefined, ...autoencoder?.network.config };
    if (pictures === undefined) return [LATENTS, LATENTS];
    const [h, w] = typeof pictures === 'number' ? [pictures, pictures] : pictures;
    return [Math.max(1, Math.floor(h / reduction)), Math.max(1, Math.floor(w / reduction))];
  }
  const sides = typeof size === 'number' ? [size, size] : size;
  const odd = sides.find((side) => !Number.isInteger(side) || side < 1 || side % reduction !== 0);
  if (odd !== undefined)
    throw new InputError(`a side of ${odd} is not possible — --size — use a multiple of ${reduction}`);
  return [sides[0] / reduction, sides[1] / reduction];
}

function halved(model: ExportSource): ExportSource {
  const { autoencoder, unetParams, text, dir } = model;
  return {
    ...model,
    unetParams: roundedToHalf(unetParams, path.join(dir, 'unet')),
    autoencoder: autoencoder && {
      ...autoencoder,
      params: roundedToHalf(autoencoder.params, path.join(dir, 'autoencoder')),
    },
    text: text && { ...text, params: roundedToHalf(text.params, path.join(dir, 'text_encoder')) },
  };
}

/** What a program should know of a file, as strings: the properties that ONNX has room for. */
function metadataOf(
  file: GraphFile,
  source: ExportSource,
  { producer, dtype, licence, size }: Pick<OnnxExport, 'dtype' | 'licence' | 'size'> & { producer: string },
): Record<string, string> {
  const scale = (source.autoencoder?.network.config ?? {}) as Readonly<Record<string, unknown>>;
  const { scheduler, labels = [], nullLabel } = source.model ?? {};
  const { text } = source;
  const known: Record<string, unknown> = {
    producer,
    model: path.basename(path.resolve(source.dir)),
    license: licence,
    component: file.name,
    class_name: file.className,
    weights: dtype,
    picture_size: size && [...size],
    scaling_factor: scale.scaling_factor,
    shift_factor: scale.shift_factor,
    latents_mean: scale.latents_mean,
    latents_std: scale.latents_std,
    prediction_type: scheduler && (scheduler.prediction_type ?? 'epsilon'),
    num_train_timesteps: scheduler && (scheduler.num_train_timesteps ?? 1000),
    labels: labels.length > 0 ? labels : null,
    null_label: nullLabel,
    tokens: text?.tokenizer.data.maxLength,
  };
  return Object.fromEntries(
    Object.entries(known)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

/**
 * Writes a checkpoint as ONNX files of standard operators, for batches of any size, with its configs beside them.
 * The folder appears whole, after each file has been run and compared with Sumi, or not at all.
 * @param nameOrDir a checkpoint, a run, the name of a shipped model, or a network by itself
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
  const sample = sampleSize(original, options.size);
  const reduction = original.autoencoder?.network.downscale ?? 1;
  const size = sample && ([sample[0] * reduction, sample[1] * reduction] as const);
  const licence = (await licenceOf(original.dir, original.sumi)) ?? null;
  const model = dtype === 'fp16' ? halved(original) : original;
  const originals = graphFiles(original, sample ?? [1, 1]);

  return writeDirectoryAtomically(out, async (dir) => {
    const files: ExportedFile[] = [];
    for (const [i, file] of graphFiles(model, sample ?? [1, 1]).entries()) {
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
    await writeConfigs(dir, original, sample);
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
