/**
 * Adaptive projected guidance, APG (Sadat, Hilliges & Weber 2024, "Eliminating oversaturation and artifacts of high
 * guidance scales in diffusion models"): of what guidance changes, the part along the picture only makes it more
 * saturated and is weakened; the rest is limited in length, and each step takes back some of what the last ones did.
 */
import { InputError } from '../errors.js';

export interface ProjectedOptions {
  /** η, the weight of the part along the picture, from 0; 1 is that of plain guidance. Default 0, as in the paper. */
  readonly eta?: number;
  /** r, the largest length (Euclidean norm over the whole sample) of a change; 0, the default, sets no limit. */
  readonly normThreshold?: number;
  /** β, the weight of the steps before, above −1 and below 1; negative ones push back. Default −0.5; 0 is none. */
  readonly momentum?: number;
}

export const projectedDefaults = { eta: 0, normThreshold: 0, momentum: -0.5 } as const;

/** Defaults filled in. @throws InputError for values out of range */
export function projectedOptions(options: ProjectedOptions): Required<ProjectedOptions> {
  const eta = options.eta ?? projectedDefaults.eta;
  const normThreshold = options.normThreshold ?? projectedDefaults.normThreshold;
  const momentum = options.momentum ?? projectedDefaults.momentum;
  const refuse = (what: number, option: string, range: string): never => {
    throw new InputError(`${what} is not possible — --apg-${option} — give a number ${range}`);
  };
  if (!(eta >= 0 && eta < Infinity)) refuse(eta, 'eta', 'from 0');
  if (!(normThreshold >= 0 && normThreshold < Infinity))
    refuse(normThreshold, 'norm-threshold', 'above 0, or 0 for no limit');
  if (!(momentum > -1 && momentum < 1)) refuse(momentum, 'momentum', 'between -1 and 1');
  return { eta, normThreshold, momentum };
}

/** The guidance of one picture: it remembers the steps before. */
export class ProjectedGuidance {
  private readonly options: Required<ProjectedOptions>;
  /** Σ β^k of the changes k steps ago. */
  private running: Float64Array | null = null;

  /** @throws InputError for values out of range */
  constructor(options: ProjectedOptions = {}) {
    this.options = projectedOptions(options);
  }

  /**
   * D_1 + (w − 1)·(Δ⊥ + η·Δ∥), Δ∥ being the part of Δ = D_1 − D_0 along D_1, once momentum and limit are applied
   * (algorithm 1). Plain guidance with η = 1, no limit and no momentum.
   * @param conditional D_1: x_0 of one picture as predicted with label or text, any shape
   * @param other D_0: the prediction otherwise, of the same shape
   * @param scale w, as in classifier-free guidance
   */
  apply(conditional: Float32Array, other: Float32Array, scale: number): Float32Array {
    const { eta, normThreshold, momentum } = this.options;
    const { running } = this;
    const change = new Float64Array(conditional.length);
    for (let i = 0; i < change.length; i++)
      change[i] = conditional[i] - other[i] + (running ? momentum * running[i] : 0);
    this.running = change;

    const length = Math.sqrt(dot(change, change));
    const limit = normThreshold > 0 && length > normThreshold ? normThreshold / length : 1;
    const square = dot(conditional, conditional);
    const along = square > 0 ? dot(change, conditional) / square : 0;
    const guided = new Float32Array(change.length);
    for (let i = 0; i < guided.length; i++) {
      const parallel = along * conditional[i];
      guided[i] = conditional[i] + (scale - 1) * limit * (change[i] - parallel + eta * parallel);
    }
    return guided;
  }
}

function dot(a: Float32Array | Float64Array, b: Float32Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
