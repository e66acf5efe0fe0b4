/** The kinds of U-Net that pipelines work with, behind one interface. */
import type { ParamSpec, Params } from '../engine/params.js';
import type { Tensor1D, Tensor3D, Tensor4D } from '../engine/tf.js';
import { InputError } from '../errors.js';
import { type Cut, type CutResult, deepShape } from './body.js';
import {
  CONDITION_CLASS_NAME,
  contextChannels,
  parseUNet2DConditionConfig,
  type UNet2DConditionConfig,
} from './condition-config.js';
import { planUNet2DCondition } from './condition-plan.js';
import { parseUNet2DConfig, UNET2D_CLASS_NAME, type UNet2DConfig } from './config.js';
import { planUNet2D } from './plan.js';
import { checkTimesteps, unet2d, unet2dCut, unet2dSpecs } from './unet2d.js';
import { unet2dCondition, unet2dConditionCut, unet2dConditionSpecs } from './unet2d-condition.js';

/** What a network is given; labels and context where it wants them. */
export interface UNetInputs {
  /** [N, H, W, in_channels] */
  readonly sample: Tensor4D;
  /** float32 [N] */
  readonly timesteps: Tensor1D;
  /** int32 [N] */
  readonly labels?: Tensor1D;
  /** What a text encoder says, [N, T, textChannels]. */
  readonly context?: Tensor3D;
}

/** A U-Net: its configuration, and what a pipeline does with it. */
export interface UNetNetwork {
  /** diffusers' class. */
  readonly className: string;
  readonly config: UNet2DConfig | UNet2DConditionConfig;
  readonly specs: readonly ParamSpec[];
  /** Channels of the text that it looks at; null: it knows no text. */
  readonly textChannels: number | null;
  /** Sides of its samples are multiples of this. */
  readonly unit: number;
  /** @returns [N, H, W, out_channels] */
  predict(params: Params, inputs: UNetInputs): Tensor4D;
  /** `predict`, keeping what the deep part gives or reusing it. @throws InputError for a branch there is not */
  predictCut(params: Params, inputs: UNetInputs, cut: Cut): CutResult;
  /**
   * What is kept of the deep part at a branch for a sample of that height and width, without the batch: [h, w, C].
   * @throws InputError for a branch there is not
   */
  deepShape(branch: number, size: readonly [number, number]): readonly [number, number, number];
  /** @throws InputError naming a timestep that the network does not know; `where` is what chose them */
  checkTimesteps(timesteps: readonly number[], where: string): void;
}

/**
 * Whether a network was trained to fill in: beside its sample it sees a mask, and the sample of what is kept, as Stable
 * Diffusion's inpainting does.
 */
export const fillsIn = ({
  in_channels: given,
  out_channels: predicted,
}: Pick<UNetNetwork['config'], 'in_channels' | 'out_channels'>): boolean =>
  given === fillingChannels(predicted);

/** Channels that a network which fills in takes, for a sample of some. */
export const fillingChannels = (sample: number): number => 2 * sample + 1;

/** A UNet2D of a config. */
export function unet2dNetwork(config: UNet2DConfig): UNetNetwork {
  return {
    className: UNET2D_CLASS_NAME,
    config,
    specs: unet2dSpecs(config),
    textChannels: null,
    unit: 2 ** (config.block_out_channels.length - 1),
    predict: (params, { sample, timesteps, labels }) => unet2d(config, params, sample, timesteps, labels),
    predictCut: (params, { sample, timesteps, labels }, cut) =>
      unet2dCut(config, params, sample, timesteps, labels, cut),
    deepShape: (branch, size) => deepShape(planUNet2D(config), branch, size),
    checkTimesteps: (timesteps, where) => checkTimesteps(config, timesteps, where),
  };
}

/** A UNet2DCondition of a config. */
export function unet2dConditionNetwork(config: UNet2DConditionConfig): UNetNetwork {
  return {
    className: CONDITION_CLASS_NAME,
    config,
    specs: unet2dConditionSpecs(config),
    textChannels: contextChannels(config),
    // Where a halving pads all sides it rounds up, and the way up knows it.
    unit: config.downsample_padding === 1 ? 1 : 2 ** (config.block_out_channels.length - 1),
    predict: (params, { sample, timesteps, context }) =>
      unet2dCondition(config, params, sample, timesteps, context as Tensor3D),
    predictCut: (params, { sample, timesteps, context }, cut) =>
      unet2dConditionCut(config, params, sample, timesteps, context as Tensor3D, cut),
    deepShape: (branch, size) => deepShape(planUNet2DCondition(config), branch, size),
    checkTimesteps: () => {},
  };
}

const kinds: Readonly<Record<string, (config: unknown, where: string) => UNetNetwork>> = {
  [UNET2D_CLASS_NAME]: (config, where) => unet2dNetwork(parseUNet2DConfig(config, where)),
  [CONDITION_CLASS_NAME]: (config, where) =>
    unet2dConditionNetwork(parseUNet2DConditionConfig(config, where)),
};

/**
 * The U-Net of a checkpoint.
 * @param className `_class_name` of its config
 * @param config parsed unet/config.json
 * @param where the folder it came from, for messages
 * @throws InputError for an unknown class, or when the config is no good
 */
export function openUNet(className: string, config: unknown, where: string): UNetNetwork {
  if (!Object.hasOwn(kinds, className)) {
    const known = Object.keys(kinds).join(' or a ');
    throw new InputError(`a ${className} is not supported — ${where} — use a checkpoint with a ${known}`);
  }
  return kinds[className](config, where);
}
