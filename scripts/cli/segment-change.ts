/** What `sumi segment change` does with its options. */
import { join } from 'node:path';
import { type Engine, requireEngine } from '../../src/engine/engines.js';
import { writeFileAtomic } from '../../src/files/index.js';
import { writePng } from '../../src/image/index.js';
import {
  changeOverlay,
  compareLabels,
  encodeMask,
  predictFile,
  readSegmentModel,
  Segmenter,
} from '../../src/segmentation/index.js';
import type { SegmentChangeArgs } from '../segment/change.js';
import { interruptible } from './interrupt.js';
import { print, printJson } from './report.js';
import { positive } from './train.js';

/** White is changed. */
const CHANGED = {
  classes: [
    { name: 'same', mask: 0, colour: 0 },
    { name: 'changed', mask: 0xffffff, colour: 0xffffff },
  ],
  ignore: [],
};

export async function runSegmentChange(argv: SegmentChangeArgs): Promise<void> {
  for (const name of ['tile', 'resize', 'threads', 'min-area'] as const) positive(name, argv[name], true);
  const engine = argv.engine as Engine;
  requireEngine(engine);
  const model = await readSegmentModel(argv.model);
  const { before, after, out, tile, overlap, resize, threads } = argv;
  const segmenter = new Segmenter(model, { engine, threads });
  const [was, is] = await interruptible(async (signal) => {
    const options = { tile, overlap, resize, signal };
    return [await predictFile(segmenter, before, options), await predictFile(segmenter, after, options)];
  }).finally(() => segmenter.dispose());
  const change = compareLabels(was, is, model.table, { minArea: argv['min-area'] });
  const files = { mask: join(out, 'change-mask.png'), overlay: join(out, 'change-overlay.png') };
  await writeFileAtomic(files.mask, await encodeMask(change.changed, CHANGED));
  await writePng(files.overlay, changeOverlay(is.picture, is.labels, change, model.table));
  const { share, regions, transitions, classes } = change;
  const report = { model: argv.model, before, after, share, regions, transitions, classes, files };
  await writeFileAtomic(join(out, 'change.json'), `${JSON.stringify(report, null, 2)}\n`);
  if (argv.json) {
    printJson(report);
    return;
  }
  print(`${percent(share)} of the picture changed, in ${regions} place${regions === 1 ? '' : 's'}`);
  for (const { from, to, pixels, share: part } of transitions)
    print(`  ${from} → ${to}: ${pixels} pixels (${percent(part)})`);
  print(`${out}: change-mask.png, change-overlay.png, change.json`);
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
