/** Adds LoRA files to a model's weights: what is drawn afterwards costs no more than without them. */
import { Compiled, type CompileOptions } from '../engine/compile.js';
import { type ParamSpec, viewParams } from '../engine/params.js';
import { type Tensor2D, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import type { LoraComponent, LoraTargets } from './names.js';
import { type LoraLayer, readLora } from './read.js';

/** A LoRA file and how strongly it is wanted. */
export interface LoraFile {
  /** A `.safetensors` file, or a folder with `pytorch_lora_weights.safetensors`. */
  readonly path: string;
  /** Factor of all that the file changes: 0 nothing, 1 (the default) as it was trained; less than 0 turns it round. */
  readonly scale?: number;
}

/** A network whose weights may be changed: its parameters in order, and their numbers in one vector. */
export interface LoraNetwork {
  readonly specs: readonly ParamSpec[];
  readonly params: Float32Array;
}

/** How much of a model was changed by one file. */
export interface MergedLora {
  readonly path: string;
  readonly scale: number;
  /** Layers changed, by network. */
  readonly layers: Readonly<Record<LoraComponent, number>>;
  /** Smallest and largest rank. */
  readonly ranks: readonly [number, number];
}

/** @throws InputError for a scale that is no number */
export function checkLoraScale({ path, scale = 1 }: LoraFile): void {
  if (Number.isFinite(scale)) return;
  throw new InputError(
    `a scale of ${scale} is not possible — --lora ${path} — give a number, 1 is all of it`,
  );
}

/** B·A of any sizes: [out, rank]·[rank, in]. */
class Products {
  private readonly compiled: Compiled;

  constructor(options: CompileOptions) {
    this.compiled = new Compiled(
      ({ up, down }) => ({ product: tf.matMul(up as Tensor2D, down as Tensor2D) }),
      { name: 'lora', engine: options.engine, threads: options.threads },
    );
  }

  async of({ up, down, rank }: LoraLayer): Promise<Float32Array> {
    const { product } = await this.compiled.run({
      up: { data: up, shape: [up.length / rank, rank], dtype: 'float32' },
      down: { data: down, shape: [rank, down.length / rank], dtype: 'float32' },
    });
    return product as Float32Array;
  }

  dispose(): Promise<void> {
    return this.compiled.dispose();
  }
}

/**
 * Changes weights in place: W + scale · (alpha / rank) · B·A (Hu et al. 2021, section 4.1), file after file.
 * @param networks what may be changed; null for a model without a text encoder
 * @returns what each file changed
 * @throws InputError naming a file that does not fit the model, see `readLora`; nothing is changed then
 */
export async function mergeLoras(
  networks: Readonly<{ unet: LoraNetwork; text_encoder: LoraNetwork | null }>,
  files: readonly LoraFile[],
  options: Pick<CompileOptions, 'engine' | 'threads'> = {},
): Promise<MergedLora[]> {
  const targets: LoraTargets = {
    unet: networks.unet.specs,
    text_encoder: networks.text_encoder?.specs ?? [],
  };
  for (const file of files) checkLoraScale(file);
  const read: LoraLayer[][] = [];
  for (const { path } of files) read.push(await readLora(path, targets));

  const views = {
    unet: viewParams(networks.unet.specs, networks.unet.params),
    text_encoder: networks.text_encoder
      ? viewParams(networks.text_encoder.specs, networks.text_encoder.params)
      : {},
  };
  const products = new Products(options);
  try {
    for (const [i, layers] of read.entries()) {
      const { scale = 1 } = files[i];
      for (const layer of layers) {
        const weight = views[layer.component][layer.parameter];
        const product = await products.of(layer);
        const by = scale * layer.factor;
        for (let k = 0; k < weight.length; k++) weight[k] += by * product[k];
      }
    }
  } finally {
    await products.dispose();
  }
  return read.map((layers, i) => ({
    path: files[i].path,
    scale: files[i].scale ?? 1,
    layers: {
      unet: layers.filter(({ component }) => component === 'unet').length,
      text_encoder: layers.filter(({ component }) => component === 'text_encoder').length,
    },
    ranks: [Math.min(...layers.map((l) => l.rank)), Math.max(...layers.map((l) => l.rank))],
  }));
}
