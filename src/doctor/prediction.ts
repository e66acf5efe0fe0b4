/**
 * What a network predicts: ε, x_0, or v = √ᾱ·ε - √(1-ᾱ)·x_0 (Salimans & Ho 2022). Nothing in a checkpoint says it but
 * the scheduler's config, and pictures drawn by another than the true one are grey or garbage. Each is tried: a picture
 * is drawn in a few large steps as if it were so, noise is added to it, and what the network then says is compared with
 * what it should say. Only the true one agrees with itself.
 */
import type { Random } from '../random.js';
import type { Findings } from './findings.js';

const TYPES = ['epsilon', 'v_prediction', 'sample'] as const;
export type PredictionType = (typeof TYPES)[number];

/** Distance, as a share of the target's mean square, of a network that agrees with itself; others are at about 1. */
const AGREES = 0.4;
/** How many times further off the claimed type must be than the best. */
const FURTHER = 2;

/** Where a picture is drawn, as shares of the timesteps, the noisiest first; and ᾱ where it is compared. */
const DRAWN = [1, 0.75] as const;
const COMPARED = [0.5, 0.25] as const;

/** Pictures and latents have about this spread at most: what is further out was drawn wrongly, and is brought in. */
const SPREAD = 1.5;

export interface PredictionTrial {
  /** One prediction for a sample at a timestep, in the sample's shape. */
  readonly predict: (sample: Float32Array, timestep: number) => Promise<Float32Array>;
  /** Numbers of a sample. */
  readonly length: number;
  /** ᾱ of every timestep. */
  readonly alphasCumprod: ArrayLike<number>;
  readonly random: Random;
}

const mix = (a: number, x: Float32Array, b: number, y: Float32Array): Float32Array =>
  x.map((v, i) => a * v + b * y[i]);

/** The picture in a sample of √ᾱ·x_0 + √(1-ᾱ)·ε, if the network's output is of this type. */
function pictureIn(
  type: PredictionType,
  sample: Float32Array,
  output: Float32Array,
  alpha: number,
): Float32Array {
  const [a, b] = [Math.sqrt(alpha), Math.sqrt(1 - alpha)];
  if (type === 'sample') return output;
  return type === 'epsilon' ? mix(1 / a, sample, -b / a, output) : mix(a, sample, -b, output);
}

/** What the output for √ᾱ·x_0 + √(1-ᾱ)·ε should be. */
function targetOf(
  type: PredictionType,
  picture: Float32Array,
  noise: Float32Array,
  alpha: number,
): Float32Array {
  if (type === 'sample') return picture;
  return type === 'epsilon' ? noise : mix(Math.sqrt(alpha), noise, -Math.sqrt(1 - alpha), picture);
}

function meanSquare(values: Float32Array): number {
  return values.reduce((sum, v) => sum + v * v, 0) / values.length;
}

/**
 * How far a network is from agreeing with itself, if it predicts this.
 * @returns mean square of the error over that of the target: near 0 if it is so, else about 1 or more
 */
export async function disagreement(type: PredictionType, trial: PredictionTrial): Promise<number> {
  const { predict, length, alphasCumprod: alphas, random } = trial;
  const last = alphas.length - 1;
  let sample = random.fork('start').normal(length);
  let picture = sample;
  for (const [i, share] of DRAWN.entries()) {
    const t = Math.round(share * last);
    picture = pictureIn(type, sample, await predict(sample, t), alphas[t]);
    const spread = Math.sqrt(meanSquare(picture));
    if (spread > SPREAD) picture = picture.map((v) => v / spread);
    if (i + 1 === DRAWN.length) break;
    const next = alphas[Math.round(DRAWN[i + 1] * last)];
    const noise = mix(1 / Math.sqrt(1 - alphas[t]), sample, -Math.sqrt(alphas[t] / (1 - alphas[t])), picture);
    sample = mix(Math.sqrt(next), picture, Math.sqrt(1 - next), noise);
  }
  let sum = 0;
  for (const wanted of COMPARED) {
    let t = 0;
    while (t < last && alphas[t] > wanted) t++;
    const noise = random.fork('noise', t).normal(length);
    const output = await predict(mix(Math.sqrt(alphas[t]), picture, Math.sqrt(1 - alphas[t]), noise), t);
    const target = targetOf(type, picture, noise, alphas[t]);
    sum += meanSquare(mix(1, output, -1, target)) / meanSquare(target);
  }
  return sum / COMPARED.length;
}

/**
 * Compares a network with the scheduler's prediction type. Says nothing of a network that was not trained: it agrees
 * with itself in no way.
 * @param claimed prediction_type of the scheduler's config
 * @param where the config, for messages
 */
export async function examinePrediction(
  claimed: string,
  trial: PredictionTrial,
  where: string,
  findings: Findings,
): Promise<void> {
  const type = TYPES.find((known) => known === claimed);
  if (!type) return;
  const own = await disagreement(type, trial);
  if (own <= AGREES) return;
  // A network that looks at nothing agrees with itself as one of x_0 does: that is no sign.
  for (const other of ['epsilon', 'v_prediction'] as const) {
    if (other === type) continue;
    const found = await disagreement(other, trial);
    if (found <= AGREES && own > FURTHER * found)
      findings.error(
        'scheduler',
        `prediction_type is ${type}, and the network predicts ${other} (its error is ${percent(found)} if it is so, ${percent(own)} if it is ${type}) — ${where} — set it to ${other}`,
      );
  }
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;
