/**
 * A segmentation model on disk: `config.json` (the classic U-Net's keys), its weights and running statistics in
 * `diffusion_pytorch_model.safetensors` under the names of published U-Nets, and `sumi.json` with the classes.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatJson, type JsonObject, readJsonObject } from '../checkpoint/json.js';
import { loadParams, saveParams } from '../checkpoint/load.js';
import { findWeights, WEIGHTS_NAME } from '../checkpoint/weights.js';
import { InputError } from '../errors.js';
import { isFile, settledDirectory, writeDirectoryAtomically } from '../files/index.js';
import { shippedFolders } from '../pipelines/model.js';
import { type ClassicUNetConfig, classicUNetSpecs, parseClassicUNetConfig } from '../unet/index.js';
import { type ClassTable, parseClasses, tableAsJson } from './classes.js';

export const SEGMENT_CLASS_NAME = 'UNet';

export interface SegmentModel {
  readonly config: ClassicUNetConfig;
  /** Parameters and running statistics in the order of `classicUNetSpecs(config)`. */
  readonly params: Float32Array;
  readonly table: ClassTable;
  /** Side of the patches that it was trained on. */
  readonly patch: number;
  /** Longest side that pictures were brought to before training; null: as they were. */
  readonly resize: number | null;
  /** What it was trained on and how, and how well it does; for people. */
  readonly recipe: JsonObject;
}

/** Writes a model's folder, whole or not at all. @throws InputError | RunError naming the place */
export async function writeSegmentModel(
  dir: string,
  model: SegmentModel,
  dtype: 'F32' | 'F16' = 'F32',
): Promise<void> {
  const sumi = {
    version: 1,
    task: 'segmentation',
    ...tableAsJson(model.table),
    patch: model.patch,
    resize: model.resize,
    recipe: model.recipe,
  };
  await writeDirectoryAtomically(dir, async (target) => {
    await writeFile(
      join(target, 'config.json'),
      formatJson({ _class_name: SEGMENT_CLASS_NAME, ...model.config } as unknown as JsonObject),
    );
    await writeFile(join(target, 'sumi.json'), formatJson(sumi));
    await saveParams(classicUNetSpecs(model.config), model.params, join(target, WEIGHTS_NAME), dtype);
  });
}

/**
 * Reads a model's folder, that of the run that made it, or a shipped model by its name.
 * @throws InputError when it is none, or a part is missing or damaged
 */
export async function readSegmentModel(path: string): Promise<SegmentModel> {
  const dir = await modelFolder(path);
  const sumi = await readJsonObject(join(dir, 'sumi.json'));
  if (sumi.task !== 'segmentation') throw noModel(path);
  const config = parseClassicUNetConfig(
    await readJsonObject(join(dir, 'config.json')),
    join(dir, 'config.json'),
  );
  const table = await parseClasses({ classes: sumi.classes, ignore: sumi.ignore }, join(dir, 'sumi.json'));
  if (table.classes.length !== config.n_classes || config.n_channels !== 3) {
    throw new InputError(
      `the network tells ${config.n_classes} classes in ${config.n_channels} channels, sumi.json names ${table.classes.length} in 3 — ${dir} — copy the whole folder anew`,
    );
  }
  const whole = (key: string) => {
    const value = sumi[key];
    if (Number.isInteger(value) && (value as number) > 0) return value as number;
    throw new InputError(`no ${key} — ${join(dir, 'sumi.json')} — copy the whole folder anew`);
  };
  return {
    config,
    params: await loadParams(classicUNetSpecs(config), await findWeights(dir)),
    table,
    patch: whole('patch'),
    resize: sumi.resize === null || sumi.resize === undefined ? null : whole('resize'),
    recipe: (sumi.recipe ?? {}) as JsonObject,
  };
}

/** Models that come with Sumi and tell parts of pictures apart, by name. */
const shipped = (): Map<string, string> => shippedFolders('config.json');

async function modelFolder(path: string): Promise<string> {
  const named = shipped().get(path);
  // A folder of that name in the working directory comes first if it holds a model.
  for (const dir of [join(path, 'model'), path, ...(named === undefined ? [] : [named])]) {
    const settled = await settledDirectory(dir);
    if (await isFile(join(settled, 'sumi.json'))) return settled;
  }
  throw noModel(path);
}

function noModel(path: string): InputError {
  const names = [...shipped().keys()];
  const known = names.length > 0 ? `, or ${names.join(', ')}` : '';
  return new InputError(
    `no segmentation model — ${path} — name a folder that sumi segment train made${known}`,
  );
}
