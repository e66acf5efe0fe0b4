/** Starting from another model's weights instead of from random ones. */
import { readPipelineDir } from '../checkpoint/pipeline.js';
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
  dir: string,
  specs: readonly ParamSpec[],
  fresh: Float32Array,
): Promise<Float32Array> {
  const { tensors } = await readSafetensors((await readPipelineDir(dir)).unet.weights);
  const offsets = offsetsOf(specs);
  const flat = fresh.slice();
  for (const [i, { name, shape }] of specs.entries()) {
    const stored = tensors.get(name);
    if (stored && `${stored.shape}` === `${shape}`) flat.set(stored.data as Float32Array, offsets[i]);
    else if (name !== CLASSES) {
      throw new InputError(
        `the model's network is not the one to be trained (${name} is [${stored?.shape ?? 'missing'}], not [${shape}]) — ${dir} — give the --config or --preset that it was trained with`,
      );
    }
  }
  return flat;
}
