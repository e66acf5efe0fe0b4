/** What the figures of checkpoints say of a model that learns its pictures by heart. */

/** A line of metrics.jsonl. */
export type Line = Readonly<Record<string, unknown>> & { readonly step: number };

/** How far the held-back loss must be above its least, as a share, and for how many checkpoints. */
const RISE = 0.02;
const CHECKPOINTS = 3;

/** Probability below which more samples are near training pictures than chance explains, as in `sumi eval`. */
const CHANCE = 0.001;

/** What is wrong and what to do, as an error's line says it without where. */
export interface Learned {
  readonly what: string;
  readonly todo: string;
}

/**
 * Whether the loss on held-back pictures has risen since it was least, while that on training pictures has fallen.
 * @param lines of checkpoints, the oldest first; those without the figures are passed over
 * @returns null: it has not
 */
export function overfitting(lines: readonly Line[]): Learned | null {
  const measured = lines.flatMap(({ step, held_back_loss: held, train_loss: trained }) =>
    typeof held === 'number' && typeof trained === 'number' ? [{ step, held, trained }] : [],
  );
  if (measured.length <= CHECKPOINTS) return null;
  const at = measured.reduce((best, line, i) => (line.held < measured[best].held ? i : best), 0);
  const [best, last] = [measured[at], measured[measured.length - 1]];
  const since = measured.slice(-CHECKPOINTS);
  const risen =
    measured.length - 1 - at >= CHECKPOINTS &&
    since.every(({ held }) => held - best.held > RISE * Math.abs(best.held));
  if (!risen || last.trained >= best.trained) return null;
  const [a, b, c, d] = [best.held, last.held, best.trained, last.trained].map((x) => x.toPrecision(3));
  return {
    what: `from step ${best.step} to ${last.step} the loss on held-back pictures has risen from ${a} to ${b} while that on training pictures fell from ${c} to ${d}: the model learns its pictures by heart`,
    todo: `train for about ${best.step} steps, on more pictures or with augment`,
  };
}

/**
 * Whether the newest samples that were measured are nearer to training pictures than new pictures would be.
 * @param lines as of `overfitting`
 * @returns null: they are not
 */
export function memorisation(lines: readonly Line[]): Learned | null {
  const last = lines.filter((line) => typeof line.memorised_probability === 'number').pop();
  if (!last || (last.memorised_probability as number) >= CHANCE) return null;
  const percent = (share: unknown) => `${Math.round(100 * Number(share))} %`;
  return {
    what: `${percent(last.memorised_share)} of the samples of step ${last.step} are nearer to a training picture than chance explains (${percent(last.memorised_expected)}): the model repeats its pictures`,
    todo: 'look at them with sumi eval; train on more pictures, for fewer steps or with augment',
  };
}
