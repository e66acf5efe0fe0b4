/** What pictures are led towards by their looks: a distance from what is wanted, and how far to follow it. */

/** A distance and its gradient at a picture. */
export interface Pull {
  /** From 0, where the picture is as wanted. */
  readonly loss: number;
  /** Of the loss by the picture's values, [height, width, 3]. */
  readonly gradient: Float32Array;
}

export interface Target {
  /** How closely it is followed, above 0 and up to 1. */
  readonly strength: number;
  /** The noise level σ of x_0 + σ·ε from which on it no longer leads: the model ends the picture by itself. */
  readonly until: number;
  /** @param picture [height, width, 3] in [-1, 1] */
  pull(picture: Float32Array): Pull;
}

/**
 * How far to follow a target at a noise level: the gain of Kalman's filter for a picture that is unsure by
 * r² = σ²/(1 + σ²), the variance of x_0 given x_t were both normal and x_0 of unit variance (Song et al. 2023,
 * "Pseudoinverse-guided diffusion models", section 3.1), and a target that is unsure by 1 − strength, as a deviation.
 * @param alphaProd ᾱ of the level
 * @param strength 0 to 1
 * @returns 0 to 1: it falls with the noise, so that what is nearly done is hardly changed
 */
export function gainAt(alphaProd: number, strength: number): number {
  const unsure = 1 - alphaProd;
  return unsure / (unsure + (1 - strength) ** 2 || 1);
}

/**
 * The factor of −gradient by which a squared distance falls to 0, were it the distance from one point in a plane: twice
 * Polyak's step (1969), which knows no scale of the loss.
 * @param gradient of the loss by the sample, which may have another shape than the picture
 * @returns 0 where the gradient is 0
 */
export function stepLength(loss: number, gradient: Float32Array): number {
  let square = 0;
  for (const g of gradient) square += g * g;
  return square === 0 ? 0 : (2 * loss) / square;
}
