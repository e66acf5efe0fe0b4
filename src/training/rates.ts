/** The learning rate and the EMA's decay, as functions of the step. */

export interface RateOptions {
  readonly learning_rate: number;
  readonly lr_warmup_steps: number;
  readonly lr_scheduler: 'cosine' | 'constant';
}

/**
 * Linear warm-up from 0, then constant or half a cosine down to 0 at the last step (Loshchilov & Hutter 2017).
 * @param step from 1 to `steps`
 */
export function learningRate(step: number, steps: number, options: RateOptions): number {
  const warmup = Math.min(options.lr_warmup_steps, Math.floor(steps / 10));
  if (step <= warmup) return (options.learning_rate * step) / warmup;
  if (options.lr_scheduler === 'constant') return options.learning_rate;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return options.learning_rate * 0.5 * (1 + Math.cos(Math.PI * progress));
}

/** EMA decay that grows with the step, so that early averages do not remember the random start. */
export function emaDecay(step: number, decay: number): number {
  return Math.min(decay, (1 + step) / (10 + step));
}
