/**
 * Quantiles of the beta distribution, for the noise levels of `use_beta_sigmas`: the inverse of the regularized
 * incomplete beta function I_x(a, b) (Abramowitz & Stegun 1964, 26.5).
 */

/** Lanczos' approximation of Γ with g = 7 and nine terms: 15 digits (Lanczos 1964). */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** log Γ(x) for x > 0. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const z = x - 1;
  const series = LANCZOS.reduce((sum, c, i) => (i === 0 ? c : sum + c / (z + i)), 0);
  const t = z + 7.5;
  return Math.log(2 * Math.PI) / 2 + (z + 0.5) * Math.log(t) - t + Math.log(series);
}

/** I_x(a, b) = P(X ≤ x) for X ~ Beta(a, b). */
export function betaCdf(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The continued fraction converges fast below the mean; above it, I_x(a, b) = 1 - I_{1-x}(b, a).
  if (x > (a + 1) / (a + b + 2)) return 1 - betaCdf(1 - x, b, a);
  const logFront = a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b);
  return (Math.exp(logFront) / a) * betaFraction(x, a, b);
}

const TINY = 1e-300;

/** The continued fraction of I_x (A&S 26.5.8), by the modified Lentz algorithm. */
function betaFraction(x: number, a: number, b: number): number {
  const away = (v: number) => (Math.abs(v) < TINY ? TINY : v);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let factor = 1;
    for (const term of [even, odd]) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      factor = c * d;
      fraction *= factor;
    }
    if (Math.abs(factor - 1) < 1e-16) break;
  }
  return fraction;
}

/**
 * The x with I_x(a, b) = p, by bisection down to neighbouring numbers: slow but without a case that fails.
 * @param p 0 … 1
 * @param a above 0
 * @param b above 0
 */
export function betaQuantile(p: number, a: number, b: number): number {
  // Numbers lie far apart near 1 and close together near 0: look from the side where the answer is small.
  return p <= betaCdf(0.5, a, b) ? lowQuantile(p, a, b) : 1 - lowQuantile(1 - p, b, a);
}

/** The same for an answer from 0 to 0.5. */
function lowQuantile(p: number, a: number, b: number): number {
  if (p <= 0) return 0;
  let [low, high] = [0, 0.5];
  for (;;) {
    // First of the exponent, then of the number itself.
    const middle = low > 0 && high > 4 * low ? Math.sqrt(low * high) : (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (betaCdf(middle, a, b) < p) low = middle;
    else high = middle;
  }
}
