/** The work of `sumi export`: checks, progress, the report. */

import { InputError } from '../../src/errors.js';
import { CHECKED_BATCHES, type ExportDtype, exportDiffusers, exportOnnx } from '../../src/export/index.js';
import type { ExportArgs } from '../export.js';
import { requireWhole } from './checks.js';
import { bytes, count } from './format.js';
import { interruptible } from './interrupt.js';
import { note, print, printJson, warn } from './report.js';
import { version } from './version.js';

/** @throws InputError for options that do not go together */
function check({ to, dtype, size, threads, out }: ExportArgs): void {
  if (to === 'onnx' && dtype === 'bf16')
    throw new InputError('ONNX files take fp32 or fp16 — --dtype bf16 — choose one of them');
  if (to === 'diffusers' && size !== undefined)
    throw new InputError('a diffusers folder keeps its size — --size — leave it out');
  requireWhole({ threads }, ['threads']);
  if (out.trim() === '') throw new InputError('no name — --out — name a folder');
}

const small = (n: number): string => (n === 0 ? '0' : n.toPrecision(2));

async function toOnnx(argv: ExportArgs): Promise<void> {
  const { model, out, dtype, size, threads } = argv;
  const started = performance.now();
  const made = await interruptible((signal) =>
    exportOnnx(model, out, {
      dtype: dtype as 'fp32' | 'fp16',
      size,
      threads,
      producer: `sumi ${version()}`,
      signal,
      onFile: (name) => note(`${name} …`, argv),
    }),
  );
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  if (argv.json) return printJson({ model, to: 'onnx', seconds, ...made });
  for (const { path, bytes: size, maxAbsDifference, rounding } of made.files) {
    const half = rounding === null ? '' : `, off by ${small(rounding)} from the weights in full`;
    print(`${path}  ${bytes(size)}, off by ${small(maxAbsDifference)} from Sumi${half}`);
  }
  const batches = CHECKED_BATCHES.join(' and ');
  note(
    `opset ${made.opset}, ${made.size ? `pictures of ${made.size.join('×')}, ` : ''}tried with batches of ${batches} in ${seconds.toFixed(1)} s`,
    argv,
  );
}

async function toDiffusers(argv: ExportArgs): Promise<void> {
  const { model, out, dtype } = argv;
  const started = performance.now();
  const made = await interruptible((signal) =>
    exportDiffusers(model, out, { dtype: dtype as ExportDtype, signal }),
  );
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  if (made.leftOut.length > 0)
    warn(`left out — ${made.leftOut.join(', ')} — Sumi has no use for these components`);
  if (argv.json) return printJson({ model, to: 'diffusers', seconds, ...made });
  for (const { path, className, parameters, maxAbsDifference } of made.components)
    print(`${path}  ${className}, ${count(parameters)} parameters, rounded by ${small(maxAbsDifference)}`);
  note(`weights in ${made.dtype}, read back in ${seconds.toFixed(1)} s`, argv);
}

/** Writes the export and reports how far it is from the source. */
export async function runExport(argv: ExportArgs): Promise<void> {
  check(argv);
  await (argv.to === 'onnx' ? toOnnx(argv) : toDiffusers(argv));
}
