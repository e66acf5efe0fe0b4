import { expect, it } from 'vitest';
import { paint } from '../../src/pipelines/paint.js';
import { type Move, plainSchedule, repaintSchedule } from '../../src/pipelines/repaint.js';
import { Random } from '../../src/random.js';
import { DDPMScheduler } from '../../src/schedulers/index.js';

// Pairs (a, b) of unit variance and correlation RHO. What a network would have to learn is known in closed form,
// and so is what inpainting should give: b | a ~ N(RHO·a, 1 - RHO²).
const RHO = 0.8;
const PAIRS = 3000;
const STEPS = 40;

const scheduler = new DDPMScheduler({ num_train_timesteps: 400, beta_end: 0.04, clip_sample: false });
scheduler.setTimesteps(STEPS);

/** E[ε | x_t] = √(1-ᾱ)·(ᾱΣ + (1-ᾱ)I)⁻¹·x_t. */
async function predict(sample: Float32Array, timestep: number): Promise<Float32Array> {
  const alphaProd = scheduler.alphasCumprod[timestep];
  const c = alphaProd * RHO; // the diagonal is 1
  const scale = Math.sqrt(1 - alphaProd) / (1 - c * c);
  const out = new Float32Array(sample.length);
  for (let i = 0; i < sample.length; i += 2) {
    out[i] = scale * (sample[i] - c * sample[i + 1]);
    out[i + 1] = scale * (sample[i + 1] - c * sample[i]);
  }
  return out;
}

async function regress(moves: readonly Move[]): Promise<{ slope: number; rest: number }> {
  const random = new Random(3);
  const known = random.fork('known').normal(2 * PAIRS);
  const painted = Uint8Array.from(known, (_, i) => i % 2);
  const noise = (...name: (string | number)[]) => random.fork(...name).normal(known.length);
  const sample = await paint({ predict, scheduler, known, painted, moves, noise });
  let [aa, ab, bb] = [0, 0, 0];
  for (let i = 0; i < sample.length; i += 2) {
    expect(sample[i]).toBe(known[i]);
    aa += known[i] ** 2;
    ab += known[i] * sample[i + 1];
    bb += sample[i + 1] ** 2;
  }
  const slope = ab / aa;
  return { slope, rest: (bb - slope * ab) / PAIRS };
}

it('RePaint draws from the conditional distribution, replacement only nearly', async () => {
  const replaced = await regress(plainSchedule(STEPS));
  const repainted = await regress(repaintSchedule(STEPS, 2, 12));
  // What is left of the error comes from taking 40 steps for 400.
  expect(Math.abs(repainted.slope - RHO)).toBeLessThan(0.05);
  expect(Math.abs(repainted.rest - (1 - RHO ** 2))).toBeLessThan(0.15);
  expect(RHO - replaced.slope).toBeGreaterThan(0.2);
});
