/** `sumi export --to diffusers`: a checkpoint written anew in today's form, and read back before it is declared done. */
import path from 'node:path';
import type { FloatDtype } from '../checkpoint/dtypes.js';
import { fromBF16, fromF16, toBF16, toF16 } from '../checkpoint/dtypes.js';
import type { JsonObject } from '../checkpoint/json.js';
import { type PipelineDir, readPipelineDir } from '../checkpoint/pipeline.js';
import { type ModelToWrite, writePipelineDir } from '../checkpoint/write.js';
import { RunError } from '../errors.js';
import { isFile, writeDirectoryAtomically } from '../files/index.js';
import { type LoadedModel, loadModel } from '../pipelines/model.js';
import { copyNotices, requireFreeFolder } from './folder.js';
import { loadSource } from './source.js';

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

async function writeAnew(
  dir: string,
  model: LoadedModel,
  source: PipelineDir,
  dtype: ExportDtype,
): Promise<void> {
  const { className, unet, autoencoder, scheduler } = source;
  const network = model.autoencoder?.network;
  const written: (ModelToWrite & { readonly folder: 'vae' | 'vqvae' }) | undefined =
    autoencoder && network && model.autoencoder
      ? {
          folder: autoencoder.folder,
          className: autoencoder.className,
          config: network.config as unknown as JsonObject,
          weights: { specs: network.specs, params: model.autoencoder.params },
        }
      : undefined;
  await writePipelineDir(
    dir,
    {
      className: className ?? undefined,
      unet: {
        className: unet.className,
        config: model.unet as unknown as JsonObject,
        weights: { specs: model.network.specs, params: model.unetParams },
      },
      scheduler: scheduler ?? { className: String(model.scheduler._class_name), config: model.scheduler },
      autoencoder: written,
      sumi: (await isFile(path.join(source.dir, 'sumi.json'))) ? source.sumi : undefined,
    },
    EXPORT_DTYPES[dtype],
  );
}

/**
 * Writes a checkpoint as a diffusers directory of one weights file a component, under today's names of parameters and
 * blocks, defaults of the configs written out. The folder appears whole, after it has been read back, or not at all.
 * @param nameOrDir a checkpoint, a run (whose model is taken), or the name of a shipped model
 * @throws InputError when the checkpoint is no good, a weight does not fit the dtype, or the folder is not empty
 */
export async function exportDiffusers(
  nameOrDir: string,
  out: string,
  { dtype = 'fp32', signal }: DiffusersExportOptions = {},
): Promise<DiffusersExport> {
  await requireFreeFolder(out);
  const model = await loadSource(nameOrDir);
  const source = await readPipelineDir(model.dir);
  signal?.throwIfAborted();
  return writeDirectoryAtomically(out, async (dir) => {
    await writeAnew(dir, model, source, dtype);
    await copyNotices(source.dir, dir);
    signal?.throwIfAborted();
    const again = await loadModel(dir);
    const component = (
      name: string,
      className: string,
      wanted: Float32Array,
      found: Float32Array,
    ): ExportedComponent => ({
      path: path.join(out, name),
      className,
      parameters: wanted.length,
      maxAbsDifference: compare(wanted, found, dtype, path.join(out, name)),
    });
    const components = [component('unet', source.unet.className, model.unetParams, again.unetParams)];
    if (source.autoencoder && model.autoencoder && again.autoencoder) {
      const { folder, className } = source.autoencoder;
      components.push(component(folder, className, model.autoencoder.params, again.autoencoder.params));
    }
    return {
      out,
      dtype,
      components,
      leftOut: source.otherComponents,
      maxAbsDifference: Math.max(...components.map((c) => c.maxAbsDifference)),
    };
  });
}
