/** OKLab (Ottosson 2020, "A perceptual color space for image processing"): equal distances look about equally large. */

type Row = readonly [number, number, number];
type Matrix = readonly [Row, Row, Row];

/** From linear RGB to the answers of three kinds of cones. */
const CONES: Matrix = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
];
/** From their cube roots to lightness and two axes of colour. */
const AXES: Matrix = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
];

export type Lab = readonly [lightness: number, a: number, b: number];

const times = ([x, y, z]: Matrix, a: number, b: number, c: number): [number, number, number] => [
  x[0] * a + x[1] * b + x[2] * c,
  y[0] * a + y[1] * b + y[2] * c,
  z[0] * a + z[1] * b + z[2] * c,
];
const transposed = ([x, y, z]: Matrix): Matrix => [
  [x[0], y[0], z[0]],
  [x[1], y[1], z[1]],
  [x[2], y[2], z[2]],
];
const [CONES_BACK, AXES_BACK] = [transposed(CONES), transposed(AXES)];

/** sRGB's transfer function, of values in [-1, 1]; it goes on as a line beyond, so that no colour is without a slope. */
function linear(value: number): number {
  const x = (value + 1) / 2;
  if (x <= 0.04045) return x / 12.92;
  return x >= 1 ? 1 + (x - 1) * SLOPE_AT_1 : ((x + 0.055) / 1.055) ** 2.4;
}
const SLOPE_AT_1 = 2.4 / 1.055;

function linearSlope(value: number): number {
  const x = (value + 1) / 2;
  if (x <= 0.04045) return 0.5 / 12.92;
  return 0.5 * (x >= 1 ? SLOPE_AT_1 : SLOPE_AT_1 * ((x + 0.055) / 1.055) ** 1.4);
}

/** The cube root is infinitely steep at 0: below this it is a line through 0. */
const DARKEST = 1e-4;
const SLOPE_AT_0 = Math.cbrt(DARKEST) / DARKEST;
const root = (cone: number): number => (cone > DARKEST ? Math.cbrt(cone) : cone * SLOPE_AT_0);
const rootSlope = (cone: number): number => (cone > DARKEST ? 1 / (3 * Math.cbrt(cone) ** 2) : SLOPE_AT_0);

/** A colour of red, green and blue in [-1, 1], as the networks have them. */
export function oklab(r: number, g: number, b: number): Lab {
  const [l, m, s] = times(CONES, linear(r), linear(g), linear(b));
  return times(AXES, root(l), root(m), root(s));
}

/** A gradient by the colour `oklab(r, g, b)` as one by red, green and blue. */
export function oklabPullBack(r: number, g: number, b: number, gradient: Lab): [number, number, number] {
  const [l, m, s] = times(CONES, linear(r), linear(g), linear(b));
  const [x, y, z] = times(AXES_BACK, gradient[0], gradient[1], gradient[2]);
  const [p, q, t] = times(CONES_BACK, x * rootSlope(l), y * rootSlope(m), z * rootSlope(s));
  return [p * linearSlope(r), q * linearSlope(g), t * linearSlope(b)];
}
