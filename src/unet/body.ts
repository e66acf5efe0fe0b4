/** The way down and up that the U-Nets share, whole or cut in two for feature caching. */
import type { Params } from '../engine/params.js';
import type { Tensor2D, Tensor3D, Tensor4D } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { type DownPlan, downBlock, type MidPlan, midBlock, type UpPlan, upBlock } from './blocks.js';

/** A U-Net between its first convolution and its last norm. */
export interface BodyPlan {
  readonly down: readonly DownPlan[];
  readonly mid: MidPlan | null;
  readonly up: readonly UpPlan[];
}

/**
 * Where a U-Net is cut (DeepCache; Ma, Fang & Wang 2024, section 3): what lies below the skip connection `branch`, counted
 * from the first convolution's, 0, is deep, the rest shallow.
 */
export interface Cut {
  readonly branch: number;
  /**
   * What the deep part gave at an earlier step, [N, h, w, C] as `deepShape` says: the deep part is not run then. It
   * meets the skip `branch` in the way up.
   */
  readonly deep?: Tensor4D;
}

/** What a network that is cut gives. */
export type CutResult = {
  /** [N, H, W, out_channels] */
  readonly output: Tensor4D;
  /** For a later step's `Cut`. */
  readonly deep: Tensor4D;
};

/** What blocks are told beside their input. */
export interface Told {
  /** [N, E] */
  readonly temb: Tensor2D;
  /** [N, H, W, 3], for Skip blocks. */
  readonly picture?: Tensor4D | null;
  /** [N, T, D], for transformers. */
  readonly context?: Tensor3D | null;
}

/** How many skips a block of the way down leaves. */
const leaves = ({ resnets, downsampler }: DownPlan): number => resnets.length + (downsampler ? 1 : 0);

/** Skip connections, the first convolution's included: branches at which a U-Net can be cut are below this. */
export function countBranches({ down, up }: BodyPlan): number {
  // Their second result, the picture, would have to be kept too.
  if (up.some(({ skip }) => skip)) return 0;
  return down.reduce((sum, plan) => sum + leaves(plan), 1);
}

/** @throws InputError for a branch that the network does not have */
function checkBranch(plan: BodyPlan, branch: number): void {
  const count = countBranches(plan);
  if (Number.isInteger(branch) && branch >= 0 && branch < count) return;
  if (count === 0) {
    throw new InputError(
      'a network of Skip blocks cannot reuse deep features — cacheInterval, --fast — leave it out',
    );
  }
  throw new InputError(
    `branch ${branch} is not possible — cacheBranchId — give a whole number from 0 to ${count - 1}`,
  );
}

/** Blocks of the way down, and how many of the skips that they leave are on the shallow side. */
function splitDown(down: readonly DownPlan[], branch: number): [DownPlan[], DownPlan[]] {
  const [shallow, deep]: [DownPlan[], DownPlan[]] = [[], []];
  let left = branch;
  for (const plan of down) {
    const { resnets, attentions } = plan;
    if (left >= leaves(plan)) shallow.push(plan);
    else if (left === 0) deep.push(plan);
    else {
      const first = { resnets: resnets.slice(0, left), attentions: attentions.slice(0, left) };
      shallow.push({ ...plan, ...first, downsampler: null });
      deep.push({ ...plan, resnets: resnets.slice(left), attentions: attentions.slice(left) });
    }
    left = Math.max(0, left - leaves(plan));
  }
  return [shallow, deep];
}

/** Blocks of the way up; the last `branch + 1` residual blocks are shallow. */
function splitUp(up: readonly UpPlan[], branch: number): [UpPlan[], UpPlan[]] {
  const [shallow, deep]: [UpPlan[], UpPlan[]] = [[], []];
  let left = branch + 1;
  for (const plan of [...up].reverse()) {
    const { resnets, attentions } = plan;
    const at = resnets.length - left;
    if (at <= 0) left > 0 ? shallow.unshift(plan) : deep.unshift(plan);
    else if (left === 0) deep.unshift(plan);
    else {
      shallow.unshift({ ...plan, resnets: resnets.slice(at), attentions: attentions.slice(at) });
      const first = { resnets: resnets.slice(0, at), attentions: attentions.slice(0, at) };
      deep.unshift({ ...plan, ...first, upsampler: null });
    }
    left = Math.max(0, left - resnets.length);
  }
  return [shallow, deep];
}

/**
 * The shape of what the deep part gives, without the batch.
 * @param size height and width of the network's sample
 * @returns [h, w, C] of the skip `branch`'s size
 * @throws InputError for a branch that the network does not have
 */
export function deepShape(
  plan: BodyPlan,
  branch: number,
  [height, width]: readonly [number, number],
): [number, number, number] {
  checkBranch(plan, branch);
  const [shallowDown] = splitDown(plan.down, branch);
  const [shallowUp] = splitUp(plan.up, branch);
  const halvings = shallowDown.filter(({ downsampler }) => downsampler).length;
  const half = (side: number) => Math.ceil(side / 2 ** halvings);
  const first = shallowUp[0].resnets[0];
  return [half(height), half(width), first.inChannels - skipChannels(plan, branch)];
}

/** Channels of the skip `branch`. */
function skipChannels({ down }: BodyPlan, branch: number): number {
  const widths = down.flatMap(({ resnets, downsampler }) => {
    const own = resnets.map(({ outChannels }) => outChannels);
    return downsampler ? [...own, own[own.length - 1]] : own;
  });
  return [down[0].resnets[0].inChannels, ...widths][branch];
}

/**
 * Runs the blocks.
 * @param x the first convolution's result, [N, H, W, C0]
 * @param cut given for a run that keeps or reuses what the deep part gives
 * @returns x: [N, H, W, C]; picture as `upBlock` returns it; deep: what the deep part gave (all, without a cut)
 * @throws InputError for a branch that the network does not have
 */
export function body(
  params: Params,
  plan: BodyPlan,
  x: Tensor4D,
  { temb, picture: given = null, context = null }: Told,
  cut?: Cut,
): { x: Tensor4D; picture: Tensor4D | null; deep: Tensor4D } {
  if (cut) checkBranch(plan, cut.branch);
  const [down, deepDown] = cut ? splitDown(plan.down, cut.branch) : [[], plan.down];
  const [up, deepUp] = cut ? splitUp(plan.up, cut.branch) : [[], plan.up];
  let h = x;
  let picture = given;
  const skips = [h];
  const descend = (blocks: readonly DownPlan[]) => {
    for (const block of blocks) {
      const lower = downBlock(params, block, h, temb, picture, context);
      ({ x: h, picture } = lower); // [N, ⌈H/2^i⌉, ⌈W/2^i⌉, Ci]
      skips.push(...lower.skips);
    }
  };
  const ascend = (blocks: readonly UpPlan[]) => {
    for (const block of blocks)
      ({ x: h, picture } = upBlock(params, block, h, skips, temb, picture, context));
  };
  descend(down);
  if (cut?.deep) h = cut.deep;
  else {
    descend(deepDown);
    if (plan.mid) h = midBlock(params, plan.mid, h, temb, context);
  }
  picture = null;
  if (!cut?.deep) ascend(deepUp);
  const deep = h;
  ascend(up);
  return { x: h, picture, deep };
}
