/** The numbers of a network: what no loader refuses and no training should leave. */
import { describeWeights } from '../checkpoint/describe.js';
import { currentName, loadParams, some } from '../checkpoint/load.js';
import { type ParamSpec, viewParams } from '../engine/params.js';
import type { Findings } from './findings.js';

/** Largest number and smallest normal one of half precision; smallest normal one of float32. */
const HALF = { largest: 65504, normal: 2 ** -14 };
const FLOAT_NORMAL = 2 ** -126;

/** Share of a tensor's numbers that may be denormal, which lose digits and are slow on CPUs. */
const DENORMALS = 0.1;
/** Tensors with fewer numbers say nothing. */
const SMALLEST = 64;

/** Weights that make a network blind if they are zero. */
const VITAL = /(^|\.)(conv_in|conv_out)\.weight$/;

interface Traits {
  readonly zero: boolean;
  readonly largest: number;
  /** Of those that are not zero. */
  readonly denormal: number;
}

function traitsOf(values: Float32Array, normal: number): Traits {
  let [largest, nonZero, denormal] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size === 0) continue;
    nonZero++;
    if (size < normal) denormal++;
    if (size > largest) largest = size;
  }
  return { zero: nonZero === 0, largest, denormal: nonZero === 0 ? 0 : denormal / nonZero };
}

/**
 * Whether it is the last convolution of a layer that hands on what it is given: one that was added to a network (see
 * `idleValues`) and not trained since, as those of an encoder are whose decoder is trained alone.
 */
function isIdle(name: string, views: Readonly<Record<string, Float32Array>>): boolean {
  const layer = /^(.*\.resnets\.\d+\.)conv2\.weight$/.exec(name)?.[1];
  if (layer === undefined) return false;
  const zero = (part: string) => views[`${layer}${part}`].every((w) => w === 0);
  return zero('conv2.bias') && !zero('conv1.weight');
}

/**
 * Loads a network's weights and looks at them.
 * @param nameOf as `loadParams` takes it
 * @returns the weights; null when they do not load, which is a finding
 */
export async function examineWeights(
  specs: readonly ParamSpec[],
  file: string,
  findings: Findings,
  nameOf: (stored: string) => string | null = currentName,
): Promise<Float32Array | null> {
  // What is missing, extra, misshapen, NaN or infinite is the loader's to find.
  const params = await findings.attempt('weights', () => loadParams(specs, file, nameOf));
  if (!params) return null;
  const { table } = await describeWeights(file);
  const stored = new Map(table.map(({ name, dtype }) => [nameOf(name), dtype]));
  const views = viewParams(specs, params);
  const lists = { blind: [] as string[], zero: [] as string[], denormal: [] as string[] };
  const [saturated, large]: string[][] = [[], []];
  for (const { name } of specs) {
    const half = stored.get(name) === 'F16';
    const traits = traitsOf(views[name], half ? HALF.normal : FLOAT_NORMAL);
    if (traits.zero && name.endsWith('weight') && !isIdle(name, views))
      (VITAL.test(name) ? lists.blind : lists.zero).push(name);
    if (views[name].length >= SMALLEST && traits.denormal > DENORMALS) lists.denormal.push(name);
    if (half && traits.largest >= HALF.largest) saturated.push(name);
    if (!half && traits.largest > HALF.largest) large.push(name);
  }
  const { blind, zero, denormal } = lists;
  if (blind.length > 0)
    findings.error(
      'weights',
      `nothing but zeros in ${some(blind)}: the network's result does not depend on its input — ${file} — use a checkpoint that was trained`,
    );
  if (zero.length > 0)
    findings.warn(
      'weights',
      `nothing but zeros in ${some(zero)} — ${file} — if it was trained, use an earlier checkpoint`,
    );
  if (denormal.length > 0)
    findings.warn(
      'weights',
      `numbers too small for their format, which lose digits, in ${some(denormal)} — ${file} — use weights in fp32, or an earlier checkpoint`,
    );
  if (saturated.length > 0)
    findings.warn(
      'weights',
      `numbers at the limit of half precision in ${some(saturated)} — ${file} — they may have overflowed: use weights in fp32`,
    );
  if (large.length > 0)
    findings.warn(
      'weights',
      `numbers above 65504 in ${some(large)} — ${file} — half precision cannot hold them: do not convert it to fp16`,
    );
  return params;
}
