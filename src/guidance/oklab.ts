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

/** sRGB's transfer function, of values in [-1, 1]; those beyond count as the ends. */
function linear(value: number): number {
  const x = Math.min(1, Math.max(0, (value + 1) / 2));
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
}

/** A colour of red, green and blue in [-1, 1], as the networks have them. */
export function oklab(r: number, g: number, b: number): Lab {
  const [l, m, s] = times(CONES, linear(r), linear(g), linear(b));
  return times(AXES, Math.cbrt(l), Math.cbrt(m), Math.cbrt(s));
}

export const squaredDistance = (a: Lab, b: Lab): number =>
  (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
