/** Classifier-free guidance (Ho & Salimans 2022, "Classifier-free diffusion guidance", eq. 6). */

/**
 * ε_0 + w·(ε_1 − ε_0): from what the network predicts otherwise, away to what it predicts under the condition and
 * beyond. It holds for ε, x_0 and v alike, which are linear in each other.
 * @param conditional ε_1, the prediction with label or text; any shape
 * @param other ε_0, the one without it, with a negative one, or by a weaker network; of the same shape
 * @param scale w: 0 the other prediction, 1 the conditional one, more leads further. (The paper's is w − 1.)
 */
export function classifierFree(conditional: Float32Array, other: Float32Array, scale: number): Float32Array {
  const mixed = new Float32Array(conditional.length);
  for (let i = 0; i < mixed.length; i++) mixed[i] = other[i] + scale * (conditional[i] - other[i]);
  return mixed;
}
