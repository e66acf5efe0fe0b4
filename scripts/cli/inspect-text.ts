/** What `sumi inspect` prints for people. */
import type {
  CheckpointDescription,
  RunDescription,
  WeightsDescription,
  WeightsSummary,
} from '../../src/checkpoint/describe.js';
import type { JsonObject, JsonValue } from '../../src/checkpoint/json.js';
import { columns } from './columns.js';
import { bytes, count } from './format.js';
import type { Inspection } from './inspect.js';
import { oneLine } from './report.js';

const LONGEST = 100;

function short(value: JsonValue | undefined): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** A JSON object as rows; objects inside it get dotted names. */
function rowsOf(object: JsonObject, prefix = ''): string[][] {
  return Object.entries(object).flatMap(([key, value]) => {
    if (key.startsWith('_') || value === undefined) return [];
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return rowsOf(value, `${prefix}${key}.`);
    const many = Array.isArray(value) && value.length > 8 ? `${value.length}: ` : '';
    return [[prefix + key, many + short(value)]];
  });
}

function section(title: string, object: JsonObject): string[] {
  const rows = rowsOf(object);
  return rows.length > 0 ? ['', title, ...columns(rows)] : [];
}

function summary({ tensors, parameters, dtypes, bytes: size }: WeightsSummary): string {
  return `${count(parameters)} parameters in ${tensors} tensors, ${Object.keys(dtypes).join(' and ') || 'empty'}, ${bytes(size)}`;
}

function checkpointLines(checkpoint: CheckpointDescription): string[] {
  const { path, className, components, scheduler, tokenizer, otherComponents, sumi } = checkpoint;
  const parts = Object.entries(components).map(([name, c]) => [name, c.className, summary(c.weights)]);
  if (tokenizer) parts.push(['tokenizer', tokenizer.className, '']);
  // A network by itself is one component, without a scheduler.
  const [[, first]] = Object.entries(components);
  const single = className === null && parts.length === 1 && !scheduler;
  if (!single) parts.push(['scheduler', scheduler?.className ?? 'none', '']);
  const title = className ?? (single ? `${first.className} by itself` : 'a pipeline without its index');
  const lines = [oneLine(`${path}: ${title}`), ...columns(parts)];
  if (otherComponents.length > 0) lines.push(oneLine(`  not used by Sumi: ${otherComponents.join(', ')}`));
  for (const [name, c] of Object.entries(components)) lines.push(...section(name, c.config));
  if (scheduler) lines.push(...section('scheduler', scheduler.config));
  lines.push(...section('sumi', sumi));
  return lines;
}

function weightsLines(weights: WeightsDescription): string[] {
  const rows = weights.table.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]);
  return [
    oneLine(`${weights.path}: ${summary(weights)}`),
    ...columns(rows),
    ...section('metadata', weights.metadata as JsonObject),
  ];
}

function runLines({ path, config, lastMetrics, checkpoints, model }: RunDescription): string[] {
  const states = checkpoints.map(({ step, bytes: size }) => [`step ${step}`, bytes(size)]);
  return [
    oneLine(`${path}: a run`),
    ...section('config', config),
    ...(lastMetrics ? section('last metrics', lastMetrics) : ['', 'no metrics yet']),
    '',
    ...(states.length > 0 ? ['checkpoints', ...columns(states)] : ['no checkpoints yet']),
    '',
    ...(model ? checkpointLines(model) : ['no model yet']),
  ];
}

/** An inspection as text, without a newline at its end. */
export function inspectionText(found: Inspection): string {
  switch (found.kind) {
    case 'checkpoint':
      return checkpointLines(found).join('\n');
    case 'weights':
      return weightsLines(found).join('\n');
    case 'run':
      return runLines(found).join('\n');
    case 'picture':
      return [oneLine(`${found.path}: a picture`), ...columns(rowsOf(found.recipe))].join('\n');
    case 'state': {
      const arrays = Object.entries(found.arrays).map(([name, length]) => [name, count(length)]);
      return [
        oneLine(`${found.path}: a training state, every byte as written`),
        ...columns(arrays),
        ...section('counters', found.counters),
      ].join('\n');
    }
  }
}
