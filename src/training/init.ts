/** Starting from another model's weights instead of from random ones. */
import type { AutoencoderNetwork } from '../autoencoder/index.js';
import { currentName, sameLayout } from '../checkpoint/load.js';
import type { PipelineDir } from '../checkpoint/pipeline.js';
import { readSafetensors } from '../checkpoint/safetensors.js';
import { sizeOf } from '../engine/graph.js';
import { offsetsOf, type ParamSpec, viewParams } from '../engine/params.js';
import { InputError } from '../errors.js';
import { fillingChannels, type UNetNetwork } from '../unet/index.js';
import { type Depth, depthOf, idleValues, shallowName } from './deepen.js';

/** The table of classes: other labels have another size, and start anew. */
const CLASSES = 'class_embedding.weight';

/** What takes the sample in: a network that learns to fill in has weights for more channels. */
const INPUT = 'conv_in.weight';

/**
 * The weights of a checkpoint's UNet in the order of a network's parameters. Where the network sees more beside its sample, the
 * weights of those channels are zero, and where it has more layers, these do nothing: it begins as the network that it comes
 * from.
 * @param fresh what parameters start from that the checkpoint does not have in this shape: the table of classes
 * @throws InputError when the checkpoint's network is another one
 */
export async function weightsFrom(
  { dir, unet }: PipelineDir,
  { specs, config }: Pick<UNetNetwork, 'specs' | 'config'>,
  fresh: Float32Array,
): Promise<Float32Array> {
  const { tensors } = await readSafetensors(unet.weights);
  const stored = new Map(
    [...tensors].map(([name, { shape, data }]) => [currentName(name), { shape, data: data as Float32Array }]),
  );
  return gather(stored, specs, fresh, depthOf(unet.config, config, 2), dir);
}

/**
 * The weights of an autoencoder in the order of the parameters of another one, which may have more layers, as above.
 * @param fresh what the parameters of new layers start from that may be anything
 * @param where it comes from, for messages
 * @throws InputError when it is another network
 */
export function autoencoderWeightsFrom(
  from: { readonly network: AutoencoderNetwork; readonly params: Float32Array },
  { specs, config }: Pick<AutoencoderNetwork, 'specs' | 'config'>,
  fresh: Float32Array,
  where: string,
): Float32Array {
  const views = viewParams(from.network.specs, from.params);
  const stored = new Map(from.network.specs.map(({ name, shape }) => [name, { shape, data: views[name] }]));
  return gather(stored, specs, fresh, depthOf(from.network.config, config, 1), where);
}

function gather(
  stored: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
  specs: readonly ParamSpec[],
  fresh: Float32Array,
  depth: Depth | null,
  where: string,
): Float32Array {
  const offsets = offsetsOf(specs);
  const flat = fresh.slice();
  for (const [i, spec] of specs.entries()) {
    const { name, shape } = spec;
    const known = depth ? shallowName(name, depth) : name;
    if (known === null) {
      const idle = idleValues(spec);
      if (idle) flat.set(idle, offsets[i]);
      continue;
    }
    const found = stored.get(known);
    if (found && sameLayout(found.shape, shape)) flat.set(found.data, offsets[i]);
    else if (name === INPUT && found && isNarrower(found.shape, shape))
      flat.set(widened(found.data, found.shape, shape), offsets[i]);
    else if (name !== CLASSES) {
      throw new InputError(
        `the model's network is not the one to be trained (${name} is [${found?.shape ?? 'missing'}], not [${shape}]) — ${where} — give the --config or --preset that it was trained with`,
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
