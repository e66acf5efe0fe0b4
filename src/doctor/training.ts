/** What a run's own figures say of its training: metrics.jsonl, config.json and the newest state. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type JsonObject, readJsonObject } from '../checkpoint/json.js';
import { listStates } from '../checkpoint/state.js';
import { isFile } from '../files/index.js';
import type { Findings } from './findings.js';
import { memorisation, overfitting } from './overfitting.js';

/** Steps below which figures say nothing. */
const FEW = 100;
/** Share of clipped gradients from which the limit, not the loss, decides how long steps are. */
const CLIPPED = 0.9;
/** A gradient so many times longer than the usual one is a jump. */
const JUMP = 20;
/** Standard errors by which two means differ for certain. */
const CERTAIN = 4;
/** How far a channel's mean may be from the data's, of a range of 1, and by what factor its spread. */
const DRIFT = { mean: 0.12, spread: 1.5 };
/** How often each picture may be seen before a model is likely to know some by heart. */
const SEEN = 300;

interface Line {
  readonly step: number;
  readonly loss?: number;
  readonly gradNorm?: number;
  readonly [name: string]: unknown;
}

interface Mean {
  readonly mean: number;
  /** Standard error. */
  readonly error: number;
}

function meanOf(values: readonly number[]): Mean {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const square = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, error: Math.sqrt(square / Math.max(1, values.length - 1) / values.length) };
}

/** Whether the second is larger, by more than chance and by more than a twentieth. */
const rose = (before: Mean, after: Mean): boolean =>
  after.mean - before.mean > CERTAIN * Math.hypot(before.error, after.error) &&
  after.mean > 1.05 * before.mean;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

async function linesOf(file: string): Promise<Line[]> {
  const text = await readFile(file, 'utf8');
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as Line];
    } catch {
      return []; // the last line of a killed run
    }
  });
}

/**
 * Examines a run of `sumi train`; a folder that is none has nothing to say.
 * @param dir the run directory
 */
export async function examineTraining(dir: string, findings: Findings): Promise<void> {
  const file = path.join(dir, 'metrics.jsonl');
  if (!(await isFile(file))) return;
  const lines = await linesOf(file);
  const steps = lines.filter(({ loss }) => typeof loss === 'number');
  const saved = await readJsonObject(path.join(dir, 'config.json')).catch((): JsonObject => ({}));
  await examineDivergence(dir, findings);
  if (steps.length >= FEW) {
    examineLoss(steps, file, findings);
    examineGradients(steps, stageOf(saved), file, findings);
  }
  examineColours(lines, file, findings);
  for (const learned of [overfitting(lines), memorisation(lines)])
    if (learned) findings.warn('training', `${learned.what} — ${file} — ${learned.todo}`);
  await examineEpochs(dir, steps, stageOf(saved), findings);
}

/** The settings of the stage that the figures are of. */
function stageOf(saved: JsonObject): JsonObject {
  const config = (saved.config ?? {}) as JsonObject;
  return (config.diffusion ?? config) as JsonObject;
}

async function examineDivergence(dir: string, findings: Findings): Promise<void> {
  const [newest] = await listStates(dir);
  if (!newest) return;
  const state = await readJsonObject(path.join(newest.dir, 'state.json')).catch((): JsonObject => ({}));
  const scale = (state.counters as JsonObject | undefined)?.rate_scale;
  if (typeof scale === 'number' && scale < 1)
    findings.warn(
      'training',
      `training diverged ${Math.round(-Math.log2(scale))} times and went back — ${dir} — its learning rate is ${scale} of what was asked for: a lower --lr from the start trains better`,
    );
}

/** The last fifth of the steps against the fifth before, of the loss and of each part of the process. */
function examineLoss(steps: readonly Line[], file: string, findings: Findings): void {
  const fifth = Math.floor(steps.length / 5);
  const [before, after] = [steps.slice(-2 * fifth, -fifth), steps.slice(-fifth)];
  const means = (name: string) =>
    [before, after].map((part) =>
      meanOf(part.map((line) => line[name]).filter((x) => typeof x === 'number')),
    );
  const [loss, later] = means('loss');
  if (rose(loss, later)) {
    findings.warn(
      'training',
      `the loss has risen from ${loss.mean.toPrecision(3)} to ${later.mean.toPrecision(3)} in the last fifth of the steps — ${file} — go on from an earlier state with a lower --lr`,
    );
    return;
  }
  const parts = [
    'the least noisy quarter',
    'the second quarter',
    'the third quarter',
    'the noisiest quarter',
  ];
  for (const [k, part] of parts.entries()) {
    const [was, is] = means(`mse_${k + 1}`);
    if (rose(was, is))
      findings.warn(
        'training',
        `the error in ${part} of the process has risen from ${was.mean.toPrecision(3)} to ${is.mean.toPrecision(3)} while the loss has not — ${file} — another snr_gamma weighs the parts otherwise`,
      );
  }
}

function examineGradients(steps: readonly Line[], stage: JsonObject, file: string, findings: Findings): void {
  const half = steps.slice(-Math.floor(steps.length / 2));
  const norms = half.flatMap(({ gradNorm }) => (typeof gradNorm === 'number' ? [gradNorm] : []));
  if (norms.length === 0) return;
  const usual = median(norms);
  const limit = stage.max_grad_norm;
  if (typeof limit === 'number' && limit > 0) {
    const clipped = norms.filter((norm) => norm > limit).length / norms.length;
    if (clipped > CLIPPED)
      findings.warn(
        'training',
        `${Math.round(100 * clipped)} % of the gradients are longer than max_grad_norm, ${limit} (usually ${usual.toPrecision(2)}) — ${file} — raise it, or train with larger batches`,
      );
  }
  const worst = half.reduce((a, b) => ((b.gradNorm ?? 0) > (a.gradNorm ?? 0) ? b : a));
  if ((worst.gradNorm ?? 0) > JUMP * usual)
    findings.warn(
      'training',
      `the gradient of step ${worst.step} is ${Math.round((worst.gradNorm ?? 0) / usual)} times as long as usual — ${file} — look for damaged pictures, or lower --lr`,
    );
}

/** The newest samples' colours against the data's. */
function examineColours(lines: readonly Line[], file: string, findings: Findings): void {
  const told = lines.filter((line) => Array.isArray(line.sample_mean)).pop();
  if (!told) return;
  const of = (name: string) => told[name] as number[];
  const [mean, wanted] = [of('sample_mean'), of('data_mean')];
  const off = mean.map((x, c) => x - wanted[c]);
  const c = off.reduce((worst, x, i) => (Math.abs(x) > Math.abs(off[worst]) ? i : worst), 0);
  if (Math.abs(off[c]) > DRIFT.mean) {
    const channel = ['red', 'green', 'blue'][c];
    findings.warn(
      'training',
      `samples of step ${told.step} have ${off[c] > 0 ? 'more' : 'less'} ${channel} than the data, ${mean[c].toFixed(2)} instead of ${wanted[c].toFixed(2)} of 1 — ${file} — train longer; if it stays, use prediction_type v_prediction or a larger ema_decay`,
    );
  }
  const [spread, usual] = [of('sample_deviation'), of('data_deviation')];
  const ratio = spread.reduce((a, b) => a + b) / usual.reduce((a, b) => a + b);
  if (ratio > DRIFT.spread || ratio < 1 / DRIFT.spread)
    findings.warn(
      'training',
      `the contrast of samples of step ${told.step} is ${ratio.toFixed(2)} times the data's — ${file} — ${ratio > 1 ? 'lower the guidance_scale' : 'train longer'}`,
    );
}

async function examineEpochs(
  dir: string,
  steps: readonly Line[],
  stage: JsonObject,
  findings: Findings,
): Promise<void> {
  const last = steps[steps.length - 1];
  const model = await readJsonObject(path.join(dir, 'model', 'sumi.json')).catch((): JsonObject => ({}));
  const pictures = (model.recipe as JsonObject | undefined)?.pictures;
  if (!last || typeof pictures !== 'number' || typeof stage.batch_size !== 'number' || pictures < 1) return;
  const batches = Number(stage.gradient_accumulation_steps ?? 1);
  const seen = (last.step * stage.batch_size * batches) / pictures;
  if (seen > SEEN)
    findings.warn(
      'training',
      `each of the ${pictures} pictures was seen ${Math.round(seen)} times — ${dir} — look for copies with sumi eval, and train on more pictures or with augment`,
    );
}
