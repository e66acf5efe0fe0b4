/** What a network is told of a picture, from options as they are given. */
import { InputError } from '../errors.js';
import { Random } from '../random.js';
import { parseBlend } from './blend.js';
import type { Condition } from './denoise.js';
import type { SamplingOptions } from './diffusion-pipeline.js';
import { GUIDE_SCALE } from './guide-model.js';
import type { LoadedModel } from './model.js';

/** The largest seed: seeds are safe integers, and so are seed + i. */
const MAX_SEED = 2 ** 52;

/** @throws InputError when a seed is no whole number from 0 to 2^52 */
export function checkSeed(seed: number): void {
  if (Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED) return;
  throw new InputError(`seed ${seed} is not possible — --seed — give a whole number from 0 to ${MAX_SEED}`);
}

/**
 * Index of a label given by name or index.
 * @param option that gave it, for messages
 * @throws InputError naming the labels there are
 */
export function labelIndex({ labels, unet }: LoadedModel, label: string | number, option: string): number {
  if (labels.length === 0)
    throw new InputError(`the model has no labels — ${option} ${label} — leave it out`);
  const byName = labels.indexOf(String(label));
  if (byName >= 0) return byName;
  const index = Number(label);
  const known = Number.isInteger(index) && index >= 0 && index < (unet.num_class_embeds ?? 0);
  if (known && String(label).trim() !== '') return index;
  throw new InputError(`the label ${label} is unknown — ${option} — use one of ${labels.join(', ')}`);
}

/** What is told besides the label. */
export type ToldOptions = Pick<SamplingOptions, 'prompt' | 'negativePrompt' | 'negativeLabel'>;

/**
 * What the network is told for a picture of this seed, which chooses the label where none is given.
 * @param led whether a weaker model guides
 * @returns with the label's name
 * @throws InputError for what the model cannot serve
 */
export function conditionOf(
  model: LoadedModel,
  led: boolean,
  seed: number,
  label: string | number | undefined,
  options: ToldOptions & Pick<SamplingOptions, 'guidanceScale'>,
): Condition & { name: string | null } {
  const { prompt, negativePrompt, negativeLabel } = options;
  const { labels, unet, text } = model;
  const scale = options.guidanceScale ?? defaultScale(model, led, negativeLabel !== undefined);
  if (!Number.isFinite(scale) || scale < 0) {
    throw new InputError(
      `guidance of ${scale} is not possible — --guidance — give a number from 0; 1 is none`,
    );
  }
  if (led && (negativeLabel !== undefined || negativePrompt !== undefined)) {
    const option = negativeLabel === undefined ? '--negative' : '--negative-label';
    throw new InputError(`guidance leads away from one thing — --guide and ${option} — leave one out`);
  }
  if (text) {
    if (negativeLabel !== undefined)
      throw new InputError(
        `the model draws from texts, not labels — --negative-label ${negativeLabel} — use --negative`,
      );
    if (label !== undefined)
      throw new InputError(`the model draws from texts, not labels — --label ${label} — use --prompt`);
    if (prompt === undefined)
      throw new InputError('no text to draw from — --prompt — say what the picture shows');
    const told = { prompt, negativePrompt: negativePrompt ?? '' };
    return { label: null, nullLabel: null, guidanceScale: scale, ...told, name: null };
  }
  if (prompt !== undefined || negativePrompt !== undefined) {
    const option = prompt === undefined ? '--negative' : '--prompt';
    const remedy = labels.length > 0 ? `use --label: ${labels.join(', ')}` : 'leave it out';
    throw new InputError(`the model does not draw from texts — ${option} — ${remedy}`);
  }
  const nullLabel =
    negativeLabel === undefined ? model.nullLabel : labelIndex(model, negativeLabel, '--negative-label');
  if (scale !== 1 && nullLabel === null && !led) {
    throw new InputError(
      'the model was not trained for guidance — --guidance — leave it out, or train with labels and label_dropout',
    );
  }
  if (unet.num_class_embeds === null) {
    if (label !== undefined) labelIndex(model, label, '--label');
    return { label: null, nullLabel: null, guidanceScale: scale, name: null };
  }
  const common = { nullLabel, guidanceScale: scale };
  const given = String(label);
  const blend = labels.includes(given)
    ? null
    : parseBlend(given, (part) => labelIndex(model, part, '--label'), '--label');
  if (blend) return { ...common, label: blend[0].label, blend, name: given };
  const index =
    label === undefined ? new Random(seed, 'label').int(labels.length) : labelIndex(model, label, '--label');
  return { ...common, label: index, name: labels[index] ?? String(index) };
}

/** Weight of guidance unless told otherwise. @param away whether there is a label to lead away from */
function defaultScale({ nullLabel, defaults, text }: LoadedModel, led: boolean, away: boolean): number {
  const scale = text !== null || nullLabel !== null || away ? defaults.guidanceScale : 1;
  return scale === 1 && led ? GUIDE_SCALE : scale;
}
