/** `sumi export --to diffusers`: a checkpoint written anew in today's form, and read back before it is declared done. */
import path from 'node:path';
import type { ComponentFolder } from '../checkpoint/component.js';
import type { FloatDtype } from '../checkpoint/dtypes.js';
import { fromBF16, fromF16, toBF16, toF16 } from '../checkpoint/dtypes.js';
import type { JsonObject } from '../checkpoint/json.js';
import type { AutoencoderFolder } from '../checkpoint/pipeline.js';
import {
  INPAINT_PIPELINE,
  type ModelToWrite,
  writeComponent,
  writePipelineDir,
} from '../checkpoint/write.js';
import { RunError } from '../errors.js';
import { isFile, writeDirectoryAtomically } from '../files/index.js';
import { CLIP_TEXT_CLASS_NAME, clipTextSpecs } from '../text/index.js';
import { UNET2D_CLASS_NAME } from '../unet/index.js';
import { textConfig } from './configs.js';
import { copyNotices, requireFreeFolder } from './folder.js';
import { coderFolder, type ExportSource, loadSource, originalTextConfig, schedulerOf } from './source.js';

export const EXPORT_DTYPES = { fp32: 'F32', fp16: 'F16', bf16: 'BF16' } as const satisfies Record<
  string,
  FloatDtype
>;
export type ExportDtype = keyof typeof EXPORT_DTYPES;

export interface DiffusersExportOptions {
  /** What weights are stored as. Default fp32. */
  readonly dtype?: ExportDtype;
  readonly signal?: AbortSignal;
}

export interface ExportedComponent {
  /** Folder of the component. */
  readonly path: string;
  readonly className: string;
  readonly parameters: number;
  /** Largest difference between the weights that were read back and the source's: what rounding took. */
  readonly maxAbsDifference: number;
}

export interface DiffusersExport {
  readonly out: string;
  readonly dtype: ExportDtype;
  readonly components: readonly ExportedComponent[];
  /** Components of the source that Sumi does not use, and that were left out. */
  readonly leftOut: readonly string[];
  readonly maxAbsDifference: number;
}

function rounded(weights: Float32Array, dtype: ExportDtype): Float32Array {
  if (dtype === 'fp32') return weights;
  const bits = new Uint16Array(weights.length);
  const back = new Float32Array(weights.length);
  if (dtype === 'fp16') {
    toF16(weights, bits);
    fromF16(bits, back);
  } else {
    toBF16(weights, bits);
    fromBF16(bits, back);
  }
  return back;
}

/** @throws RunError when the weights that were read back are not those that were to be written */
function compare(wanted: Float32Array, found: Float32Array, dtype: ExportDtype, where: string): number {
  const stored = rounded(wanted, dtype);
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) {
    if (!Object.is(stored[i], found[i]) && stored[i] !== found[i])
      throw new RunError(
        `the weights came back changed (${stored[i]} as ${found[i]}) — ${where} — nothing was written; check the disk and try again`,
      );
    worst = Math.max(worst, Math.abs(wanted[i] - found[i]));
  }
  return worst;
}

/** A network's place in the folder, and what is written there. */
interface Written {
  readonly folder: ComponentFolder;
  readonly model: ModelToWrite & { readonly weights: Exclude<ModelToWrite['weights'], string> };
}

/** transformers' names of the formats. */
const TORCH_DTYPES = { fp32: 'float32', fp16: 'float16', bf16: 'bfloat16' } as const;

/** All networks of a checkpoint. */
function networksOf(source: ExportSource, dtype: ExportDtype): Written[] {
  const { network, unetParams, autoencoder, text, single } = source;
  const written: Written[] = [];
  const add = (
    folder: ComponentFolder,
    className: string,
    config: object,
    weights: Written['model']['weights'],
  ) => written.push({ folder, model: { className, config: config as JsonObject, weights } });
  if (network) add('unet', network.className, network.config, { specs: network.specs, params: unetParams });
  if (autoencoder) {
    const { network: coder, params } = autoencoder;
    const folder = single?.folder ?? coderFolder(source);
    add(folder, coder.className, coder.config, { specs: coder.specs, params });
  }
  const refiner = source.model?.refiner;
  if (refiner) {
    const { config, specs } = refiner.network;
    add('refiner', UNET2D_CLASS_NAME, config, { specs, params: refiner.params });
  }
  if (text) {
    const specs = clipTextSpecs(text.config);
    const config = textConfig(text, originalTextConfig(source), TORCH_DTYPES[dtype]);
    add('text_encoder', CLIP_TEXT_CLASS_NAME, config, { specs, params: text.params });
  }
  return written;
}

async function writeAnew(dir: string, source: ExportSource, written: readonly Written[], dtype: ExportDtype) {
  const stored = EXPORT_DTYPES[dtype];
  const { single, pipeline, model } = source;
  if (single) return writeComponent(dir, written[0].folder, written[0].model, stored);
  if (!pipeline || !model) throw new RangeError('a checkpoint is a pipeline or a network by itself');
  const of = (...folders: ComponentFolder[]) => written.find(({ folder }) => folders.includes(folder));
  const coder = of('vae', 'vqvae');
  await writePipelineDir(
    dir,
    {
      className: pipeline.className ?? (model.paints && model.text ? INPAINT_PIPELINE : undefined),
      unet: (of('unet') as Written).model,
      scheduler: schedulerOf(pipeline, model),
      autoencoder: coder && { ...coder.model, folder: coder.folder as AutoencoderFolder },
      refiner: of('refiner')?.model,
      textEncoder: of('text_encoder')?.model,
      tokenizer: pipeline.tokenizer ?? undefined,
      sumi: (await isFile(path.join(source.dir, 'sumi.json'))) ? source.sumi : undefined,
    },
    stored,
  );
}

/**
 * Writes a checkpoint as a diffusers directory of one weights file a component, under today's names of parameters and
 * blocks, defaults of the configs written out. The folder appears whole, after it has been read back, or not at all.
 * @param nameOrDir a checkpoint, a run (whose model is taken), the name of a shipped model, or a network by itself
 * @throws InputError when the checkpoint is no good, a weight does not fit the dtype, or the folder is not empty
 */
export async function exportDiffusers(
  nameOrDir: string,
  out: string,
  { dtype = 'fp32', signal }: DiffusersExportOptions = {},
): Promise<DiffusersExport> {
  await requireFreeFolder(out);
  const source = await loadSource(nameOrDir);
  const written = networksOf(source, dtype);
  signal?.throwIfAborted();
  return writeDirectoryAtomically(out, async (dir) => {
    await writeAnew(dir, source, written, dtype);
    await copyNotices(source.dir, dir);
    signal?.throwIfAborted();
    const again = networksOf(await loadSource(dir), dtype);
    const components = written.map(({ folder, model }, i): ExportedComponent => {
      const place = source.single ? out : path.join(out, folder);
      const [wanted, found] = [model.weights.params, again[i].model.weights.params];
      return {
        path: place,
        className: model.className,
        parameters: wanted.length,
        maxAbsDifference: compare(wanted, found, dtype, place),
      };
    });
    return {
      out,
      dtype,
      components,
      leftOut: source.pipeline?.otherComponents ?? [],
      maxAbsDifference: Math.max(...components.map((c) => c.maxAbsDifference)),
    };
  });
}
