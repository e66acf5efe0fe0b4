/** Starting from another model's weights instead of from random ones. */
import { currentName, sameLayout } from '../checkpoint/load.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { readSafetensors } from '../checkpoint/safetensors.js';
import { offsetsOf, type ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';

/** The table of classes: other labels have another size, and start anew. */
const CLASSES = 'class_embedding.weight';

/**
 * The weights of a checkpoint's UNet in the order of `specs`.
 * @param fresh what parameters start from that the checkpoint does not have in this shape: the table of classes
 * @throws InputError when the checkpoint's network is another one
 */
export async function weightsFrom(
  { dir, unet }: PipelineDir,
  specs: readonly ParamSpec[],
  fresh: Float32Array,
): Promise<Float32Array> {
  const { tensors: stored } = await readSafetensors(unet.weights);
  const tensors = new Map([...stored].map(([name, tensor]) => [currentName(name), tensor]));
  const offsets = offsetsOf(specs);
  const flat = fresh.slice();
  for (const [i, { name, shape }] of specs.entries()) {
    const found = tensors.get(name);
    if (found && sameLayout(found.shape, shape)) flat.set(found.data as Float32Array, offsets[i]);
    else if (name !== CLASSES) {
      throw new InputError(
        `the model's network is not the one to be trained (${name} is [${found?.shape ?? 'missing'}], not [${shape}]) — ${dir} — give the --config or --preset that it was trained with`,
      );
    }
  }
  return flat;
}
