/** What `sumi doctor RUN` finds in a run's own figures. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { saveState } from '../../src/checkpoint/state.js';
import { Findings } from '../../src/doctor/findings.js';
import { examineTraining } from '../../src/doctor/training.js';
import { Random } from '../../src/random.js';
import { temporaryFolder } from '../pipelines/tiny.js';

const at = temporaryFolder();

type Line = Record<string, unknown>;

/** A run that goes well: loss falls and settles, gradients are short, samples have the data's colours. */
function healthy(steps = 500): Line[] {
  const noise = new Random(3).normal(6 * steps);
  const lines: Line[] = Array.from({ length: steps }, (_, i) => {
    const level = 0.1 + 0.4 * Math.exp(-i / 60);
    const wobble = (k: number) => level * (1 + 0.1 * noise[6 * i + k]);
    return {
      step: i + 1,
      loss: wobble(0),
      gradNorm: 0.3 * (1 + 0.2 * noise[6 * i + 1]),
      mse_1: wobble(2),
      mse_2: wobble(3),
      mse_3: wobble(4),
      mse_4: wobble(5),
    };
  });
  lines.push({
    step: steps,
    sample_mean: [0.6, 0.5, 0.45],
    sample_deviation: [0.3, 0.3, 0.3],
    data_mean: [0.62, 0.52, 0.47],
    data_deviation: [0.31, 0.3, 0.29],
  });
  return lines;
}

async function found(
  name: string,
  change: (line: Line, i: number) => Line,
  pictures = 200,
): Promise<string[]> {
  const dir = at(name);
  await mkdir(join(dir, 'model'), { recursive: true });
  const lines = healthy().map(change);
  await writeFile(
    join(dir, 'metrics.jsonl'),
    `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"step":501,"lo`,
  );
  const config = { diffusion: { batch_size: 16, max_grad_norm: 1 } };
  await writeFile(join(dir, 'config.json'), JSON.stringify({ config }));
  await writeFile(join(dir, 'model', 'sumi.json'), JSON.stringify({ recipe: { pictures } }));
  const findings = new Findings();
  await examineTraining(dir, findings);
  expect(findings.list.every(({ area, severity }) => area === 'training' && severity === 'warning')).toBe(
    true,
  );
  return findings.list.map(({ message }) => message);
}

it('has nothing to say of a run that went well, or of what is no run', async () => {
  expect(await found('well', (line) => line)).toEqual([]);
  const findings = new Findings();
  await examineTraining(at(), findings);
  expect(findings.list).toEqual([]);
});

it.each<[string, (line: Line, i: number) => Line, RegExp]>([
  [
    'a loss that rises',
    (line, i) => (i >= 400 && line.loss ? { ...line, loss: (line.loss as number) * 1.5 } : line),
    /^the loss has risen from 0.1\d+ to 0.1[45]\d+ in the last fifth of the steps — .*metrics.jsonl — go on from an earlier/,
  ],
  [
    'one part of the process that gets worse',
    (line, i) => (i >= 400 && line.mse_4 ? { ...line, mse_4: (line.mse_4 as number) * 2 } : line),
    /^the error in the noisiest quarter of the process has risen/,
  ],
  [
    'gradients that are always clipped',
    (line) => (line.gradNorm ? { ...line, gradNorm: (line.gradNorm as number) * 10 } : line),
    /^100 % of the gradients are longer than max_grad_norm, 1 \(usually 3/,
  ],
  [
    'one gradient out of all proportion',
    (line, i) => (i === 420 ? { ...line, gradNorm: 15 } : line),
    /^the gradient of step 421 is \d\d times as long as usual/,
  ],
  [
    'samples of another colour',
    (line) => (line.sample_mean ? { ...line, sample_mean: [0.6, 0.5, 0.2] } : line),
    /^samples of step 500 have less blue than the data, 0.20 instead of 0.47/,
  ],
  [
    'samples without contrast',
    (line) => (line.sample_mean ? { ...line, sample_deviation: [0.1, 0.1, 0.1] } : line),
    /^the contrast of samples of step 500 is 0.33 times the data's — .* — train longer$/,
  ],
])('finds %s, and nothing else', async (name, change, message) => {
  const list = await found(name.replaceAll(' ', '-'), change);
  expect(list).toEqual([expect.stringMatching(message)]);
});

it('finds a run that overfits, and says where it did best', async () => {
  const held = [0.3, 0.2, 0.22, 0.24, 0.26];
  const list = await found('overfits', (line, i) =>
    i % 100 ? line : { ...line, loss: undefined, held_back_loss: held[i / 100], train_loss: 0.3 - i / 2000 },
  );
  expect(list).toEqual([
    expect.stringMatching(
      /^from step 101 to 401 the loss on held-back pictures has risen from 0.200 to 0.260 .* by heart — .*metrics.jsonl — train for about 101 steps/,
    ),
  ]);
});

it.each([
  [
    1e-8,
    [expect.stringMatching(/^37 % of the samples of step 300 are nearer .*\(1 %\).* — look at them with/)],
  ],
  [0.01, []],
])('finds samples that repeat training pictures with a probability of %f', async (probability, expected) => {
  const copies = { loss: undefined, memorised_share: 0.37, memorised_expected: 0.01 };
  const list = await found(`copies-${probability}`, (line, i) =>
    i === 199 || i === 299
      ? { ...line, ...copies, memorised_probability: i === 199 ? 0 : probability }
      : line,
  );
  expect(list).toEqual(expected);
});

it('counts all batches of a step', async () => {
  const dir = at('accumulated');
  await mkdir(join(dir, 'model'), { recursive: true });
  await writeFile(join(dir, 'metrics.jsonl'), '{"step":500,"loss":1}');
  await writeFile(join(dir, 'model', 'sumi.json'), JSON.stringify({ recipe: { pictures: 20 } }));
  for (const [batches, expected] of [
    [1, []],
    [2, [expect.stringMatching(/^each of the 20 pictures was seen 400 times/)]],
  ] as const) {
    const config = { diffusion: { batch_size: 8, gradient_accumulation_steps: batches } };
    await writeFile(join(dir, 'config.json'), JSON.stringify({ config }));
    const findings = new Findings();
    await examineTraining(dir, findings);
    expect(findings.list.map(({ message }) => message)).toEqual(expected);
  }
});

it('finds pictures that were seen too often, and training that had to go back', async () => {
  expect(await found('often', (line) => line, 20)).toEqual([
    expect.stringMatching(/^each of the 20 pictures was seen 400 times — .* sumi eval/),
  ]);
  const arrays = { params: new Float32Array(2) };
  await saveState(join(at('back'), 'checkpoints/step-500'), {
    arrays,
    counters: { step: 500, rate_scale: 0.25 },
  });
  expect(await found('back', (line) => line)).toEqual([
    expect.stringMatching(/^training diverged 2 times and went back .* 0.25 of what was asked for/),
  ]);
});
