/** Opens a LoRA file and finds what it changes. */
import { basename, dirname, join } from 'node:path';
import { readJsonObject } from '../checkpoint/json.js';
import { some } from '../checkpoint/load.js';
import { openSafetensors, type WeightsReader } from '../checkpoint/safetensors.js';
import { sizeOf } from '../engine/graph.js';
import type { ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';
import { isDirectory, isFile } from '../files/index.js';
import { type LoraComponent, type LoraKey, LoraNames, type LoraRole, type LoraTargets } from './names.js';
import { factorOf, type LoraSettings, parseLoraSettings, settingsOfHeader } from './settings.js';

/** One layer's change: weight + factor · up · down. */
export interface LoraLayer {
  readonly component: LoraComponent;
  readonly parameter: string;
  readonly rank: number;
  /** alpha / rank */
  readonly factor: number;
  /** [rank, the weight's other axes, flat] */
  readonly down: Float32Array;
  /** [the weight's first axis, rank] */
  readonly up: Float32Array;
}

/** Names of the files in a folder: diffusers', and PEFT's own. */
const FILES = ['pytorch_lora_weights.safetensors', 'adapter_model.safetensors'];
const PEFT_CONFIG = 'adapter_config.json';

/** @throws InputError when there is no such file, or a folder holds none */
async function findFile(path: string): Promise<string> {
  if (/\.(bin|pt|pth|ckpt)$/i.test(path))
    throw new InputError(
      `a PyTorch pickle, which can run code when opened — ${path} — convert it: in Python, safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW_FILE)`,
    );
  if (!(await isDirectory(path))) {
    if (await isFile(path)) return path;
    throw new InputError(`no such LoRA file — ${path} — check the path`);
  }
  for (const name of FILES) if (await isFile(join(path, name))) return join(path, name);
  throw new InputError(`no ${FILES.join(' or ')} in it — ${path} — name the LoRA file itself`);
}

/** What names that fit nothing probably are. */
function hintFor(names: readonly string[]): string {
  const one = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (one(/hada_|lokr_|\.diff(_b)?$|lora_mid\.|oft_|\.w_norm$/))
    return 'only plain LoRA is supported, not LoHa, LoKr and the like: use a LoRA file';
  if (one(/dora_scale|lora_magnitude_vector/)) return 'DoRA weights are not supported: use a plain LoRA file';
  if (one(/^(lora_te2_|text_encoder_2\.)|^lora_unet_(input_blocks|middle_block|output_blocks)_/))
    return 'it was made for Stable Diffusion XL: use one made for this model';
  return 'use a LoRA that was made for this kind of model';
}

/** @throws InputError naming the keys that belong to nothing in the model */
function sortKeys(reader: WeightsReader, names: LoraNames): Map<string, LoraKey> {
  const keys = [...reader.tensors.keys()];
  if (keys.length === 0) throw new InputError(`no tensors — ${reader.path} — name a LoRA file`);
  const found = new Map<string, LoraKey>();
  const strange: string[] = [];
  for (const key of keys) {
    const read = names.read(key);
    if (read) found.set(key, read);
    else strange.push(key);
  }
  if (strange.length === 0) return found;
  throw new InputError(
    `${strange.length} of ${keys.length} keys belong to nothing in the model (${some(strange)}) — ${reader.path} — ${hintFor(strange)}`,
  );
}

/** The tensors of each layer by their roles. @throws InputError for two of one role, or a half of a pair */
function pairUp(keys: ReadonlyMap<string, LoraKey>, path: string): Map<string, Map<LoraRole, string>> {
  const layers = new Map<string, Map<LoraRole, string>>();
  for (const [key, { component, parameter, role }] of keys) {
    const id = `${component}/${parameter}`;
    const roles = layers.get(id) ?? new Map<LoraRole, string>();
    const other = roles.get(role);
    if (other !== undefined)
      throw new InputError(`${other} and ${key} are the same — ${path} — keep one of them`);
    layers.set(id, roles.set(role, key));
  }
  const halves = [...layers.values()].filter((roles) => !roles.has('down') || !roles.has('up'));
  if (halves.length > 0) {
    const lone = halves.map((roles) => [...roles.values()][0]);
    throw new InputError(
      `${lone.length} layers of which a half is missing (${some(lone)}) — ${path} — fetch the file again`,
    );
  }
  return layers;
}

/** Rank of a pair. @throws InputError when it does not fit the weight */
function rankOf(spec: ParamSpec, reader: WeightsReader, down: string, up: string): number {
  const shape = (name: string) => reader.tensors.get(name)?.shape ?? [];
  const [a, b] = [shape(down), shape(up)];
  const [rank, out] = [a[0] ?? 0, spec.shape[0]];
  const fits =
    rank > 0 && sizeOf(a) === rank * sizeOf(spec.shape.slice(1)) && b[0] === out && sizeOf(b) === out * rank;
  if (fits && b[1] === rank) return rank;
  throw new InputError(
    `[${b.join(', ')}] times [${a.join(', ')}] is no change of ${spec.name} [${spec.shape.join(', ')}] (${down}) — ${reader.path} — use a LoRA that was made for this kind of model`,
  );
}

/** The file's settings for each network. */
async function settingsOf(reader: WeightsReader): Promise<Readonly<Record<LoraComponent, LoraSettings>>> {
  const config = join(dirname(reader.path), PEFT_CONFIG);
  if (basename(reader.path) === FILES[1] && (await isFile(config))) {
    const settings = parseLoraSettings(await readJsonObject(config), config);
    return { unet: settings, text_encoder: settings };
  }
  const of = (component: LoraComponent) => settingsOfHeader(reader.metadata, component, reader.path);
  return { unet: of('unet'), text_encoder: of('text_encoder') };
}

/**
 * Reads a LoRA file (Hu et al. 2021) of diffusers, PEFT or kohya-ss, in any of the spellings that they have had.
 * @param path a `.safetensors` file, or a folder with `pytorch_lora_weights.safetensors` or PEFT's own files
 * @param targets the weights that there are to be changed
 * @throws InputError naming keys that belong to nothing in the model, pairs that do not fit a weight, and NaN
 */
export async function readLora(path: string, targets: LoraTargets): Promise<LoraLayer[]> {
  const reader = await openSafetensors(await findFile(path));
  try {
    const settings = await settingsOf(reader);
    const keys = sortKeys(reader, new LoraNames(targets));
    const layers: LoraLayer[] = [];
    for (const [id, roles] of pairUp(keys, reader.path)) {
      const component = id.slice(0, id.indexOf('/')) as LoraComponent;
      const parameter = id.slice(component.length + 1);
      const spec = targets[component].find(({ name }) => name === parameter) as ParamSpec;
      const [down, up] = [roles.get('down') as string, roles.get('up') as string];
      const rank = rankOf(spec, reader, down, up);
      const stored = roles.has('alpha') ? await numberOf(reader, roles.get('alpha') as string) : undefined;
      const module = parameter.replace(/\.weight$/, '');
      layers.push({
        component,
        parameter,
        rank,
        factor: factorOf(settings[component], module, rank, stored),
        down: await floats(reader, down),
        up: await floats(reader, up),
      });
    }
    return layers;
  } finally {
    await reader.close();
  }
}

async function floats(reader: WeightsReader, name: string): Promise<Float32Array> {
  const values = await reader.read(name);
  if (values instanceof Float32Array && values.every(Number.isFinite)) return values;
  const what = values instanceof Float32Array ? 'holds NaN or infinity' : 'is no floating point';
  throw new InputError(`${name} ${what} — ${reader.path} — use another LoRA file`);
}

/** A tensor of one number, of any kind. */
async function numberOf(reader: WeightsReader, name: string): Promise<number> {
  const values = await reader.read(name);
  const value = values.length === 1 ? Number(values[0]) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new InputError(`${name} is not one number — ${reader.path} — fetch the file again`);
}
