/** Measurements while training, of models that are told texts and of models that are told nothing. */
import { mkdir, writeFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { type Dataset, openDataset } from '../../src/data/index.js';
import { writePng } from '../../src/image/index.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { qualityMeasure } from '../../src/training/quality.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { writeStable } from '../pipelines/stable.js';
import { latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
let dataset: Dataset;

beforeAll(async () => {
  await mkdir(at('data'));
  const rows: string[] = [];
  for (let i = 0; i < 20; i++) {
    const file_name = `${i}.png`;
    await writePng(at('data', file_name), noisyPicture(32, 32, i));
    rows.push(JSON.stringify({ file_name, text: i % 2 ? 'the dog' : 'a photo of the cat' }));
  }
  await writeFile(at('data', 'metadata.jsonl'), rows.join('\n'));
  dataset = await openDataset(at('data'), { size: 32 });
}, 60_000);

it.each([
  ['texts', () => writeStable(at('model'), 'sd1')],
  ['nothing', () => writeTiny(at('plain'), latent)],
])('a model that is told %s', async (_, write) => {
  const notes: string[] = [];
  const model = await write();
  const measure = qualityMeasure(dataset, model, 1, {
    threads: 1,
    count: 8,
    onNote: (line) => notes.push(line),
  });
  const found = await measure.run(7);
  expect(found).toMatchObject({ kid_pictures: 8, extractor: expect.stringMatching(/^efficientnet-lite0 /) });
  // Random weights draw nothing like the data.
  expect(Number(found.kid)).toBeGreaterThan(3 * Number(found.kid_standard_error));
  expect(notes).toEqual([
    expect.stringMatching(
      /^step 7: KID is [\d.]+ \(.*\), of 8 pictures, by eff.*; 0 % suspiciously near .* \(4.8 % by chance\)$/,
    ),
  ]);
  // The same again: seeds, labels and pictures are.
  expect(await measure.run(8)).toEqual(found);
});

it('finds samples that are training pictures', async () => {
  const model = await writeTiny(at('copier'), latent);
  const pipeline = await DiffusionPipeline.fromPretrained(model, { threads: 1 });
  const drawn = await pipeline.generate({ count: 24, seed: 1_000_000, steps: 20, batchSize: 8 });
  await pipeline.dispose();
  await mkdir(at('copied'));
  for (const [i, picture] of drawn.entries()) await writePng(at('copied', `${i}.png`), picture);
  const copied = await openDataset(at('copied'), { size: 32 });
  const notes: string[] = [];
  const onNote = (line: string) => notes.push(line);
  const measure = qualityMeasure(copied, model, 1, { threads: 1, count: 8, onNote });
  const found = await measure.run(1);
  // All eight before the nearest of 24 pairs of real ones: one order of 32 choose 8.
  expect(found).toMatchObject({ memorised_share: 1, memorised_expected: 0.04 });
  expect(found.memorised_probability).toBeCloseTo(1 / 10518300, 9);
  expect(notes[0]).toMatch(/100 % suspiciously near to a training picture \(4 % by chance\)$/);
}, 60_000);
