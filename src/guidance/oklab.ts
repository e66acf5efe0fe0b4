/** OKLab (Ottosson 2020, "A perceptual color space for image processing"): equal distances look about equally large. */

/** From linear RGB to cones' answers, and from their cube roots to lightness and two axes of colour. */
const CONES = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
] as const;
const AXES = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.808675766],
] as const;

export type Lab = readonly [lightness: number, a: number, b: number];

/** sRGB's transfer function, 0 to 1, and its slope; it goes on as a line beyond, so that no colour is without one. */
function linear(value: number): { value: number; slope: number } {
  if (value <= 0.04045) return { value: value / 12.92, slope: 1 / 12.92 };
  if (value >= 1) return { value: 1 + (value - 1) * SLOPE_AT_1, slope: SLOPE_AT_1 };
  const base = (value + 0.055) / 1.055;
  return { value: base ** 2.4, slope: (2.4 / 1.055) * base ** 1.4 };
}
const SLOPE_AT_1 = 2.4 / 1.055;

/** The cube root is infinitely steep at 0: below this it is a line to 0. */
const DARKEST = 1e-4;
function root(value: number): { value: number; slope: number } {
  if (value > DARKEST) {
    const cube = Math.cbrt(value);
    return { value: cube, slope: 1 / (3 * cube * cube) };
  }
  const slope = Math.cbrt(DARKEST) / DARKEST;
  return { value: value * slope, slope };
}

/**
 * @param rgb in [-1, 1], as the networks have it
 * @returns the colour, and how a gradient by it becomes one by the three values
 */
export function oklab(
  r: number,
  g: number,
  b: number,
): { lab: Lab; pullBack: (gradient: Lab) => [number, number, number] } {
  const light = [r, g, b].map((x) => linear((x + 1) / 2));
  const cones = CONES.map((row) => root(row.reduce((sum, m, c) => sum + m * light[c].value, 0)));
  const lab = AXES.map((row) => row.reduce((sum, m, k) => sum + m * cones[k].value, 0));
  return {
    lab: lab as unknown as Lab,
    pullBack: (gradient) => {
      const byCone = cones.map(
        ({ slope }, k) => slope * AXES.reduce((s, row, i) => s + row[k] * gradient[i], 0),
      );
      const byRgb = light.map(
        ({ slope }, c) => (slope / 2) * CONES.reduce((s, row, k) => s + row[c] * byCone[k], 0),
      );
      return byRgb as [number, number, number];
    },
  };
}
