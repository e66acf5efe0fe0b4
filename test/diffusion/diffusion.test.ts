import { describe, expect, it } from 'vitest';
import {
  addNoise,
  alphaProdsAt,
  type BetaConfig,
  conversionCoefficients,
  convertPrediction,
  cumulativeAlphas,
  lossWeights,
  makeBetas,
  noiseCoefficients,
  PREDICTION_TYPES,
  rescaleZeroTerminalSnr,
  snr,
  trainingTarget,
  velocity,
} from '../../src/diffusion/index.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/random.js';

const base: BetaConfig = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
};

describe('betas', () => {
  it('linear: equal steps between the ends', () => {
    const betas = makeBetas(base);
    expect(betas.length).toBe(1000);
    expect([betas[0], betas[999]]).toEqual([0.0001, 0.02]);
    expect(betas[500] - betas[499]).toBeCloseTo(0.0199 / 999, 15);
    // Ho et al. 2020, sec. 4: the schedule ends close to pure noise, DKL(q(x_T|x_0) || N(0,I)) ~ 1e-5 bits/dim.
    expect(cumulativeAlphas(betas)[999]).toBeCloseTo(4.036e-5, 7);
  });

  it('scaled_linear: equal steps of the square root', () => {
    const betas = makeBetas({ ...base, beta_schedule: 'scaled_linear' });
    expect(betas[0]).toBeCloseTo(0.0001, 15);
    expect(betas[999]).toBeCloseTo(0.02, 15);
    expect(Math.sqrt(betas[10]) - Math.sqrt(betas[9])).toBeCloseTo((Math.sqrt(0.02) - 0.01) / 999, 14);
  });

  it('squaredcos_cap_v2: the cumulative product is the cosine, until the cap', () => {
    const betas = makeBetas({ ...base, beta_schedule: 'squaredcos_cap_v2' });
    const alphaBar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
    const alphas = cumulativeAlphas(betas);
    for (const t of [0, 1, 300, 700, 990])
      expect(alphas[t] / (alphaBar((t + 1) / 1000) / alphaBar(0))).toBeCloseTo(1, 10);
    expect(Math.max(...betas)).toBe(0.999);
    expect(betas[999]).toBe(0.999);
  });

  it('rescales to zero terminal SNR: last is 0, first is kept, in between is monotonic', () => {
    const betas = makeBetas({ ...base, beta_schedule: 'scaled_linear' });
    const rescaled = rescaleZeroTerminalSnr(betas);
    const before = cumulativeAlphas(betas);
    const after = cumulativeAlphas(rescaled);
    expect(after[999]).toBe(0);
    expect(after[0]).toBeCloseTo(before[0], 14);
    for (let t = 1; t < 1000; t++) expect(after[t]).toBeLessThan(after[t - 1]);
    // Algorithm 1 is affine in sqrt(ᾱ).
    const root = (x: Float64Array, t: number) => Math.sqrt(x[t]);
    const slope = (t: number) => (root(after, t) - root(after, 0)) / (root(before, t) - root(before, 0));
    expect(slope(700)).toBeCloseTo(slope(50), 9);
    expect(makeBetas({ ...base, beta_schedule: 'scaled_linear', rescale_betas_zero_snr: true })).toEqual(
      rescaled,
    );
  });

  it('takes trained betas as they are', () => {
    const trained_betas = [0.1, 0.2, 0.3];
    const betas = makeBetas({ ...base, num_train_timesteps: 3, trained_betas });
    expect([...betas]).toEqual(trained_betas);
    expect([...cumulativeAlphas(betas)].map((a) => a.toFixed(12))).toEqual(
      [0.9, 0.72, 0.504].map((a) => a.toFixed(12)),
    );
  });

  it('one timestep is enough', () => {
    expect([...makeBetas({ ...base, num_train_timesteps: 1 })]).toEqual([0.0001]);
  });

  it('refuses what makes no schedule', () => {
    const bad: Partial<BetaConfig>[] = [
      { num_train_timesteps: 0 },
      { num_train_timesteps: 2.5 },
      { beta_start: 0 },
      { beta_end: 1 },
      { beta_end: Number.NaN },
      { beta_schedule: 'cosine' as never },
      { trained_betas: [0.1] },
      { num_train_timesteps: 2, trained_betas: [0.1, 1.5] },
      { num_train_timesteps: 1, rescale_betas_zero_snr: true },
    ];
    for (const patch of bad)
      expect(() => makeBetas({ ...base, ...patch }), JSON.stringify(patch)).toThrow(InputError);
    expect(() => makeBetas({ ...base, beta_schedule: 'cosine' as never })).toThrow(/squaredcos_cap_v2/);
  });
});

describe('noising', () => {
  const alphasCumprod = cumulativeAlphas(makeBetas(base));
  const random = new Random(1);
  const original = random.uniform(12).map((v) => 2 * v - 1);
  const noise = random.normal(12);

  it('gives q(x_t | x_0) its mean and variance', () => {
    const n = 50_000;
    const x = addNoise(new Float32Array(n).fill(0.7), random.normal(n), alphasCumprod[300]);
    const mean = x.reduce((a, b) => a + b, 0) / n;
    const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    expect(Math.abs(mean - 0.7 * Math.sqrt(alphasCumprod[300]))).toBeLessThan(0.02);
    expect(Math.abs(variance / (1 - alphasCumprod[300]) - 1)).toBeLessThan(0.03);
  });

  it('noises each sample of a batch at its own timestep', () => {
    const timesteps = [0, 500, 999];
    const batch = addNoise(original, noise, alphaProdsAt(alphasCumprod, timesteps));
    timesteps.forEach((t, n) => {
      const part = (x: Float32Array) => x.slice(n * 4, n * 4 + 4);
      expect(part(batch)).toEqual(addNoise(part(original), part(noise), alphasCumprod[t]));
    });
  });

  it('gives a training graph the same coefficients', () => {
    const { sqrtAlphaProd, sqrtOneMinusAlphaProd } = noiseCoefficients(alphasCumprod, [10, 990]);
    const batch = addNoise(original, noise, alphaProdsAt(alphasCumprod, [10, 990]));
    for (let i = 0; i < 12; i++) {
      const n = Math.floor(i / 6);
      expect(sqrtAlphaProd[n] * original[i] + sqrtOneMinusAlphaProd[n] * noise[i]).toBeCloseTo(batch[i], 5);
    }
    expect(sqrtAlphaProd[1] ** 2 + sqrtOneMinusAlphaProd[1] ** 2).toBeCloseTo(1, 6);
  });

  it('refuses timesteps outside the schedule and shapes that do not fit', () => {
    for (const t of [-1, 1000, 1.5, Number.NaN])
      expect(() => noiseCoefficients(alphasCumprod, [t])).toThrow(InputError);
    expect(() => addNoise(original, noise.slice(1), 0.5)).toThrow(InputError);
    expect(() => addNoise(original, noise, [0.5, 0.5, 0.5, 0.5, 0.5])).toThrow(InputError);
    expect(() => velocity(original, noise.slice(1), 0.5)).toThrow(InputError);
  });
});

describe('predictions', () => {
  const random = new Random(2);
  const original = random.uniform(12).map((v) => 2 * v - 1);
  const noise = random.normal(12);
  const closeTo = (a: Float32Array, b: Float32Array, tolerance: number) =>
    a.forEach((v, i) => {
      expect(Math.abs(v - b[i])).toBeLessThan(tolerance);
    });

  it('turn into each other in all nine ways', () => {
    for (const alphaProd of [0.999, 0.6, 0.1]) {
      const sample = addNoise(original, noise, alphaProd);
      for (const from of PREDICTION_TYPES)
        for (const to of PREDICTION_TYPES) {
          const prediction = trainingTarget(from, original, noise, alphaProd);
          const wanted = trainingTarget(to, original, noise, alphaProd);
          closeTo(convertPrediction(prediction, sample, alphaProd, from, to), wanted, 2e-5);
        }
    }
  });

  it('come back unchanged from a round trip of coefficients', () => {
    for (const from of PREDICTION_TYPES)
      for (const to of PREDICTION_TYPES) {
        const there = conversionCoefficients(from, to, 0.3);
        const back = conversionCoefficients(to, from, 0.3);
        expect(back.output * there.output).toBeCloseTo(1, 12);
        expect(back.output * there.sample + back.sample).toBeCloseTo(0, 12);
      }
  });

  it('have the targets of their papers', () => {
    expect(trainingTarget('epsilon', original, noise, 0.3)).toBe(noise);
    expect(trainingTarget('sample', original, noise, 0.3)).toBe(original);
    const v = trainingTarget('v_prediction', original, noise, [0.3, 0.8]);
    expect(v[0]).toBeCloseTo(Math.sqrt(0.3) * noise[0] - Math.sqrt(0.7) * original[0], 6);
    expect(v[11]).toBeCloseTo(Math.sqrt(0.8) * noise[11] - Math.sqrt(0.2) * original[11], 6);
  });

  it('at zero SNR: v and x_0 still determine the picture, epsilon does not', () => {
    const v = trainingTarget('v_prediction', original, noise, 0); // = -x_0
    closeTo(convertPrediction(v, noise, 0, 'v_prediction', 'sample'), original, 1e-7);
    expect(() => conversionCoefficients('epsilon', 'sample', 0)).toThrow(InputError);
    expect(() => conversionCoefficients('sample', 'epsilon', 1)).toThrow(InputError);
    expect(() => conversionCoefficients('flow' as never, 'epsilon', 0.5)).toThrow(InputError);
    expect(() => convertPrediction(v, noise.slice(1), 0.5, 'epsilon', 'sample')).toThrow(InputError);
  });
});

describe('loss weights', () => {
  const alphaProds = [0.99, 0.9, 0.5, 0.01];

  it('are 1 unless asked for', () => {
    expect([...lossWeights(alphaProds, 'epsilon')]).toEqual([1, 1, 1, 1]);
  });

  it('min-SNR: the same weight on the error of x_0 whatever is predicted', () => {
    const gamma = 5;
    const onOriginal = lossWeights(alphaProds, 'sample', gamma);
    const onNoise = lossWeights(alphaProds, 'epsilon', gamma);
    const onVelocity = lossWeights(alphaProds, 'v_prediction', gamma);
    alphaProds.forEach((alphaProd, i) => {
      expect(onOriginal[i]).toBeCloseTo(Math.min(alphaProd / (1 - alphaProd), gamma), 5);
      // An error d in x_0 is an error output·d in the other prediction.
      const noise = conversionCoefficients('sample', 'epsilon', alphaProd).output ** 2;
      const velo = conversionCoefficients('sample', 'v_prediction', alphaProd).output ** 2;
      expect(onNoise[i] * noise).toBeCloseTo(onOriginal[i], 5);
      expect(onVelocity[i] * velo).toBeCloseTo(onOriginal[i], 5);
    });
  });

  it('stay finite at zero SNR', () => {
    expect(snr(0)).toBe(0);
    for (const type of PREDICTION_TYPES) expect(Number.isFinite(lossWeights([0], type, 5)[0])).toBe(true);
    expect(lossWeights([0], 'epsilon', 5)[0]).toBe(1);
  });

  it('refuse a gamma that is not above 0', () => {
    for (const gamma of [0, -1, Number.NaN, Infinity])
      expect(() => lossWeights(alphaProds, 'epsilon', gamma)).toThrow(InputError);
  });
});
