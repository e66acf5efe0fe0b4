/**
 * How well changes are found: places seen from above that no training has seen, before and after houses were built or
 * pulled down, the later picture with grain of its own and in another light. A quarter of the pairs has no change.
 *
 *   sumi segment example aerial
 *   npx tsx bench/segmentation/change.ts --model runs/example-aerial/run
 */
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { RENDERED } from '../../src/data/rendered/index.js';
import { drawPicture } from '../../src/data/rendered/make.js';
import type { RgbPicture } from '../../src/image/index.js';
import { Random } from '../../src/random.js';
import {
  compareLabels,
  connectedRegions,
  type LabelMap,
  mostProbable,
  readSegmentModel,
  Segmenter,
} from '../../src/segmentation/index.js';

const argv = await yargs(hideBin(process.argv))
  .option('model', { type: 'string', default: 'runs/example-aerial/run', describe: 'Trained on aerial' })
  .option('pairs', { type: 'number', default: 100 })
  .option('size', { type: 'number', default: 96 })
  .option('seed', { type: 'number', default: 2, describe: '0 is trained on, 1 chose the settings' })
  .option('light', {
    type: 'number',
    default: 0.15,
    describe: 'The later picture is brighter or darker by up to this',
  })
  .strict()
  .parse();

/** More houses than this do not change. */
const MOST = 3;
const { aerial } = RENDERED;
const model = await readSegmentModel(argv.model);
const segmenter = new Segmenter(model);

/** The classes of a mask, by the model's own table. */
function labelsOf({ data, width, height }: RgbPicture): LabelMap {
  const { classes } = model.table;
  const label = new Map(classes.map(({ mask }, i) => [mask, i]));
  const labels = Uint8Array.from(
    { length: width * height },
    (_, i) => label.get((data[i * 3] << 16) | (data[i * 3 + 1] << 8) | data[i * 3 + 2]) ?? 0,
  );
  return { data: labels, width, height };
}

const inLight = (picture: RgbPicture, factor: number): RgbPicture => ({
  ...picture,
  data: picture.data.map((value) => Math.min(255, Math.round(value * factor))),
});

const labelled = async (picture: RgbPicture) => ({
  labels: mostProbable(await segmenter.probabilities(picture)),
});

let [hit, invented, missed] = [0, 0, 0];
let [houses, found, falseRegions, quiet, alarms] = [0, 0, 0, 0, 0];
for (let i = 0; i < argv.pairs; i++) {
  const random = new Random(argv.seed, 'change', i);
  const gone = i % (MOST + 1);
  const [light, way] = random.uniform(2);
  // A clip of two frames, the second without some of the houses.
  const kind: typeof aerial = {
    ...aerial,
    frames: 2,
    draw: (canvas, dice, frame) => aerial.draw(canvas, dice, frame * gone),
  };
  const frames = [
    await drawPicture(kind, 'aerial', argv.seed, 2 * i, argv.size),
    await drawPicture(kind, 'aerial', argv.seed, 2 * i + 1, argv.size),
  ];
  // The other way round houses are built.
  const [before, after] = way < 0.5 ? frames : [frames[1], frames[0]];
  const truth = compareLabels(
    { labels: labelsOf(before.mask) },
    { labels: labelsOf(after.mask) },
    model.table,
    { minArea: 1 },
  );
  const later = inLight(after.picture, 1 + argv.light * (2 * light - 1));
  const got = compareLabels(await labelled(before.picture), await labelled(later), model.table);
  const regions = connectedRegions(truth.changed.data, truth.changed);
  const seen = new Int32Array(regions.count + 1);
  const area = new Int32Array(regions.count + 1);
  regions.data.forEach((region, p) => {
    area[region]++;
    if (got.changed.data[p]) seen[region]++;
    if (region > 0 && got.changed.data[p]) hit++;
    else if (region > 0) missed++;
    else if (got.changed.data[p]) invented++;
  });
  for (let r = 1; r <= regions.count; r++) {
    houses++;
    if (seen[r] > area[r] / 2) found++;
  }
  const claimed = connectedRegions(got.changed.data, got.changed);
  const real = new Set<number>();
  claimed.data.forEach((region, p) => {
    if (regions.data[p] > 0) real.add(region);
  });
  real.delete(0);
  falseRegions += claimed.count - real.size;
  if (regions.count === 0) {
    quiet++;
    if (got.regions > 0) alarms++;
  }
}
await segmenter.dispose();

const share = (value: number) => value.toFixed(3);
console.log(`${argv.pairs} pairs of aerial pictures, seed ${argv.seed}, light ±${argv.light}`);
console.log(
  `pixels: precision ${share(hit / (hit + invented))}, recall ${share(hit / (hit + missed))}, Dice ${share((2 * hit) / (2 * hit + invented + missed))}`,
);
console.log(
  `${found} of ${houses} changed places found, ${falseRegions} that are none; ${alarms} of ${quiet} unchanged pairs with an alarm`,
);
