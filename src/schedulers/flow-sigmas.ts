/**
 * Noise levels of a flow, x = (1 − σ)·x_0 + σ·ε (Lipman et al. 2023, "Flow matching for generative modeling"; Esser et
 * al. 2024, "Scaling rectified flow transformers"), for the solvers in λ: diffusers' `use_flow_sigmas`. For models of
 * such a flow only.
 */
import {
  type ConversionCoefficients,
  FLOW_PREDICTION,
  type PredictionType,
} from '../diffusion/prediction.js';
import { InputError } from '../errors.js';
import type { Level } from './exponential.js';

export interface FlowConfig {
  use_flow_sigmas: boolean;
  /** Above 1 more of the levels are noisy ones (Esser et al. 2024, eq. 23). */
  flow_shift: number;
}

export const flowLevel = (sigma: number): Level => ({ alpha: 1 - sigma, sigma });

export const shiftSigma = (sigma: number, shift: number): number =>
  (shift * sigma) / (1 + (shift - 1) * sigma);

/** @returns `steps` levels, falling, from just below 1 */
export function flowSigmas(
  { num_train_timesteps: T, flow_shift }: FlowConfig & { num_train_timesteps: number },
  steps: number,
): number[] {
  // As NumPy's linspace rounds it, since timesteps are cut to whole numbers.
  const step = (1 / T - 1) / steps;
  const alpha = (i: number) => (i === steps ? 1 / T : 1 + i * step);
  return Array.from({ length: steps }, (_, i) => shiftSigma(1 - alpha(steps - i), flow_shift));
}

/** How a prediction becomes x_0 or ε at a level of the flow. `sample` stands for x. */
export function flowConversion(
  from: PredictionType,
  to: PredictionType,
  sigma: number,
): ConversionCoefficients {
  const { alpha } = flowLevel(sigma);
  if (from === to) return { output: 1, sample: 0 };
  if (to === 'sample') {
    return from === FLOW_PREDICTION
      ? { output: -sigma, sample: 1 }
      : { output: -sigma / alpha, sample: 1 / alpha };
  }
  return from === FLOW_PREDICTION
    ? { output: alpha, sample: 1 }
    : { output: -alpha / sigma, sample: 1 / sigma };
}

/** @throws InputError for a config whose levels and predictions are not of one process */
export function requireFlow(
  config: FlowConfig & { prediction_type: PredictionType; [key: string]: unknown },
  spacing: string | null,
  className: string,
): void {
  const { use_flow_sigmas, prediction_type } = config;
  if (!use_flow_sigmas && prediction_type === FLOW_PREDICTION)
    throw new InputError(
      `prediction_type is ${FLOW_PREDICTION} without use_flow_sigmas — ${className} config — set use_flow_sigmas, for a model of a flow`,
    );
  if (!use_flow_sigmas) return;
  if (spacing !== null)
    throw new InputError(
      `use_flow_sigmas and ${spacing} exclude each other — ${className} config — turn on one of them`,
    );
  if (prediction_type === 'v_prediction')
    throw new InputError(
      `prediction_type is v_prediction with use_flow_sigmas — ${className} config — a flow's is ${FLOW_PREDICTION}`,
    );
  if (typeof config.shift_terminal === 'number')
    throw new InputError(
      `shift_terminal is ${config.shift_terminal} — ${className} config — it is not supported: leave it out`,
    );
}
