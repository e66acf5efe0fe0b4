/** Starting from another model's weights instead of from random ones. */
import { currentName, sameLayout } from '../checkpoint/load.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { readSafetensors } from '../checkpoint/safetensors.js';
import { sizeOf } from '../engine/graph.js';
import { offsetsOf, type ParamSpec } from '../engine/params.js';
import { InputError } from '../errors.js';
import { fillingChannels } from '../unet/index.js';

/** The table of classes: other labels have another size, and start anew. */
const CLASSES = 'class_embedding.weight';

/** What takes the sample in: a network that learns to fill in has weights for more channels. */
const INPUT = 'conv_in.weight';

/**
 * The weights of a checkpoint's UNet in the order of `specs`. Where the network sees more beside its sample, the weights of
 * those channels are zero: it begins as the network that it comes from.
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
    else if (name === INPUT && found && isNarrower(found.shape, shape))
      flat.set(widened(found.data as Float32Array, found.shape, shape), offsets[i]);
    else if (name !== CLASSES) {
      throw new InputError(
        `the model's network is not the one to be trained (${name} is [${found?.shape ?? 'missing'}], not [${shape}]) — ${dir} — give the --config or --preset that it was trained with`,
      );
    }
  }
  return flat;
}

/** Whether weights are those for the sample alone of a network that fills in; shapes are [out, in, height, width]. */
const isNarrower = (stored: readonly number[], wanted: readonly number[]): boolean =>
  sameLayout(stored.with(1, fillingChannels(stored[1])), wanted);

/** [O, I, …] as [O, I', …] with zeros for the inputs that there were not. */
function widened(weights: Float32Array, from: readonly number[], to: readonly number[]): Float32Array {
  const [own, wide] = [sizeOf(from.slice(1)), sizeOf(to.slice(1))];
  const out = new Float32Array(sizeOf(to));
  for (let o = 0; o < to[0]; o++) out.set(weights.subarray(o * own, (o + 1) * own), o * wide);
  return out;
}
