/** The weaker model of autoguidance (Karras et al. 2024): an earlier or smaller one of the same training. */
import { InputError } from '../errors.js';
import { drawingSampler, isDiffusion, processOf } from '../schedulers/index.js';
import { type LoadedModel, loadModel } from './model.js';

/** Weight of guidance by a weaker model where the model itself has none; the paper's are about 2. */
export const GUIDE_SCALE = 2;

/**
 * @param nameOrDir of the guide
 * @param model that it is to guide
 * @throws InputError when there is none, or what it predicts is not what the model predicts
 */
export async function loadGuide(nameOrDir: string, model: LoadedModel): Promise<LoadedModel> {
  const guide = await loadModel(nameOrDir).catch((error: unknown) => {
    if (error instanceof InputError)
      throw new InputError(error.message.replace('— --model —', '— --guide —'));
    throw error;
  });
  const difference = differenceOf(guide, model);
  if (difference === undefined) return guide;
  throw new InputError(
    `the guide ${difference} — --guide ${nameOrDir} — use an earlier or smaller model of the same training`,
  );
}

/** What keeps the two apart, if anything does. */
function differenceOf(guide: LoadedModel, model: LoadedModel): string | undefined {
  const [a, b] = [guide.unet, model.unet];
  if (a.in_channels !== b.in_channels || a.out_channels !== b.out_channels)
    return `works on ${a.in_channels} channels, the model on ${b.in_channels}`;
  if (guide.labels.join('\n') !== model.labels.join('\n'))
    return `knows the labels ${list(guide.labels)}, the model ${list(model.labels)}`;
  if (guide.network.textChannels !== model.network.textChannels) return 'has another text encoder';
  const [ours, theirs] = [guide, model].map(({ scheduler }) => drawingSampler(scheduler));
  const [kind, other] = [ours, theirs].map((scheduler) => processOf(scheduler.toConfig()));
  if (kind !== other) return `is a model of ${kind}, the model one of ${other}`;
  if (ours.config.prediction_type !== theirs.config.prediction_type)
    return `predicts ${ours.config.prediction_type}, the model ${theirs.config.prediction_type}`;
  if (isDiffusion(ours) && isDiffusion(theirs)) {
    const [p, q] = [ours.alphasCumprod, theirs.alphasCumprod];
    if (p.length !== q.length || p.some((x, t) => Math.abs(x - q[t]) > 1e-6))
      return 'was trained on another noise schedule';
  }
  const [f, g] = [guide.autoencoder?.params, model.autoencoder?.params];
  if (f?.length !== g?.length || f?.some((x, i) => x !== g?.[i])) return 'has another autoencoder';
  return undefined;
}

const list = (labels: readonly string[]): string => (labels.length > 0 ? labels.join(', ') : 'none');
