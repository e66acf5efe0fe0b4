/** What `sumi dataset` does with its options. */
import { join } from 'node:path';
import { RENDERED, type RenderedName, renderDataset } from '../../src/data/rendered/index.js';
import { RENDERED_NAMES } from '../../src/data/rendered/names.js';
import { findCollection, makeStyleDataset } from '../../src/data/styles/index.js';
import { InputError } from '../../src/errors.js';
import type { DatasetArgs } from '../dataset.js';
import { interruptible } from './interrupt.js';
import { startProgress } from './progress.js';
import { print, printJson } from './report.js';

export async function runDataset(argv: DatasetArgs): Promise<void> {
  const rendered = RENDERED_NAMES.some((name) => name === argv.name);
  return rendered ? runRendered(argv) : runStyles(argv);
}

async function runRendered(argv: DatasetArgs): Promise<void> {
  const { name, out = join('data', name), size, count, seed, styles, force, json, quiet } = argv;
  if (styles) throw new InputError(`${name} has no styles — --styles — leave it out`);
  const progress = startProgress({
    label: 'draw',
    total: count ?? RENDERED[name as RenderedName].defaultCount,
    quiet,
  });
  const made = await interruptible((signal) =>
    renderDataset(name, {
      out,
      size,
      count,
      seed,
      force,
      signal,
      onProgress: (done) => progress.update(done),
    }),
  ).finally(() => progress.stop());
  if (json) {
    printJson(made);
    return;
  }
  print(
    [
      `${made.dir}: ${made.pictures} rendered pictures of ${made.size}×${made.size} with masks in ${made.seconds.toFixed(1)} s`,
      `  ${made.classes.join(', ')} (drawn by Sumi, CC0 1.0; no photographs)`,
      `train on them: sumi segment train --images ${join(out, 'images')} --masks ${join(out, 'masks')} --classes ${join(out, 'classes.json')} --out runs/${name}`,
    ].join('\n'),
  );
}

async function runStyles(argv: DatasetArgs): Promise<void> {
  const { name, out = join('data', name), size = 64, count, seed, styles, force, json, quiet } = argv;
  const { defaultCount, labels } = findCollection(name);
  const total = (count ?? defaultCount) * (styles ?? labels).length;
  const progress = startProgress({ label: 'draw', total, quiet });
  const made = await interruptible((signal) =>
    makeStyleDataset(name, {
      out,
      size,
      count,
      seed,
      styles,
      force,
      signal,
      onProgress: (done) => progress.update(done),
    }),
  ).finally(() => progress.stop());
  if (json) {
    printJson(made);
    return;
  }
  const credits = made.styles.map(
    ({ label, title, creator, licence }) => `  ${label}: ${title} by ${creator}, ${licence.name}`,
  );
  print(
    [
      `${made.dir}: ${made.pictures} pictures of ${size}×${size} in ${made.seconds.toFixed(1)} s`,
      ...credits,
      `train on them: sumi train --data ${out} --size ${size} --out runs/${name}`,
    ].join('\n'),
  );
}
