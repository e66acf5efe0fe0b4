/** Measurements while training, of models that are told texts and of models that are told nothing. */
import { mkdir, writeFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { type Dataset, openDataset } from '../../src/data/index.js';
import { writePng } from '../../src/image/index.js';
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
  expect(notes).toEqual([expect.stringMatching(/^step 7: KID is [\d.]+ \(.*\), of 8 pictures, by eff/)]);
  // The same again: seeds, labels and pictures are.
  expect(await measure.run(8)).toEqual(found);
});
