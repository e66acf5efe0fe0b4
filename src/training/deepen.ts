/**
 * Deeper networks that begin as shallower ones: the layers that a checkpoint has not are added so that they do nothing at first
 * (Chen et al. 2016, "Net2Net", section 2.3), by residuals of zero.
 */
import { sizeOf } from '../engine/graph.js';
import type { ParamSpec } from '../engine/params.js';

/** `layers_per_block` of a checkpoint and of the network that it is to become. */
export interface Depth {
  readonly from: number;
  readonly to: number;
}

/** Blocks whose layers are residuals that add up, with nothing between them. */
const PLAIN = /^(Attn)?(Down|Up)((En|De)coder)?Block2D$/;

/** How much deeper a network is to become; null: not at all, or its blocks have no layers that could be added. */
export function depthOf(
  from: Readonly<Record<string, unknown>>,
  to: Readonly<Record<string, unknown>>,
  usual: number,
): Depth | null {
  const [shallow, deep] = [from.layers_per_block ?? usual, to.layers_per_block ?? usual];
  if (typeof shallow !== 'number' || typeof deep !== 'number' || deep <= shallow) return null;
  const types = [to.down_block_types, to.up_block_types].flat();
  return types.every((type) => PLAIN.test(String(type))) ? { from: shallow, to: deep } : null;
}

/** The name that a parameter of the deeper network has in the shallower one; null: it belongs to a new layer. */
export function shallowName(name: string, { from, to }: Depth): string | null {
  const found = /^((?:(?:en|de)coder\.)?(down|up)_blocks\.\d+\.(?:resnets|attentions)\.)(\d+)(\..*)$/.exec(
    name,
  );
  if (!found) return name;
  const [, before, way, index, after] = found;
  const layer = Number(index);
  if (way === 'down') return layer < from ? name : null;
  // A decoder's new layers are its last: nothing but the layer before leads to them.
  if (before.startsWith('decoder.')) return layer <= from ? name : null;
  // A U-Net's lie after the first, which narrows what comes from below: they leave out the skips of the new ones on the way
  // down, which hold what the last old one's does.
  const added = to - from;
  if (layer === 0) return name;
  return layer <= added ? null : `${before}${layer - added}${after}`;
}

/**
 * What a parameter of a new layer starts as, for the layer to hand on what it is given; null: anything does.
 * The shortcut past a layer of a U-Net's way up takes its first channels, those that come from below, and no skip's.
 */
export function idleValues({ name, shape }: ParamSpec): Float32Array | null {
  if (/\.(conv2|to_out\.0)\.(weight|bias)$|\.conv_shortcut\.bias$/.test(name))
    return new Float32Array(sizeOf(shape));
  if (!name.endsWith('.conv_shortcut.weight')) return null;
  const values = new Float32Array(sizeOf(shape));
  for (let channel = 0; channel < shape[0]; channel++) values[channel * shape[1] + channel] = 1;
  return values;
}
