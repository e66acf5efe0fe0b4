/**
 * Sumi beside PyTorch and diffusers, case by case, in turns, and the table of docs/performance.md.
 *
 *   npm run bench                        all cases; without the peers (peers.sh), Sumi's side alone
 *   npm run bench -- --only shipped --rounds 3 --variants eager,bf16 --no-write
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { writeFileAtomic } from '../../src/files/index.js';
import { type Case, cases, checkpointOf, plan, root, writeUNet } from './cases.js';
import { type CaseResult, markdown, median, type ScalingResult, type Side } from './report.js';
import { Worker } from './worker.js';

const VARIANTS = ['eager', 'channels_last', 'bf16', 'compile'] as const;
/** Sumi's own sides: as it is, and drawing with --precision int8. */
const SUMI = ['sumi', 'int8'];
const sidesOf = ({ kind, task }: Case): string[] =>
  kind === 'unet' && (task === 'predict' || task === 'sample') ? SUMI : SUMI.slice(0, 1);
const venv = join(root, 'bench/.venv/bin/python');

const argv = await yargs(hideBin(process.argv))
  .option('only', { type: 'string', describe: 'Cases whose name contains this' })
  .option('rounds', { type: 'number', default: 5, describe: 'Turns of each side' })
  .option('variants', { type: 'string', default: VARIANTS.join(','), describe: 'Of PyTorch' })
  .option('python', { type: 'string', default: process.env.SUMI_BENCH_PYTHON ?? venv })
  .option('write', { type: 'boolean', default: true, describe: 'Write docs/performance.md (all cases)' })
  .strict()
  .parse();

const python = existsSync(argv.python) ? argv.python : null;
if (!python)
  console.error(`no PyTorch at ${argv.python}: bench/peers.sh installs it; Sumi alone is measured`);
const variants = python ? argv.variants.split(',') : [];
const out = await mkdtemp(join(tmpdir(), 'sumi-bench-'));
const at = (file: string) => join(root, 'bench/performance', file);

const start = (side: string, c: Case, dir: string): Worker =>
  SUMI.includes(side)
    ? new Worker(process.execPath, ['--import', 'tsx', at('sumi-worker.ts'), JSON.stringify(c), dir, side])
    : new Worker(python as string, [at('torch_worker.py'), JSON.stringify(c), dir, side]);

/** All sides of a case in turns, so that a slow minute of the machine falls on all of them. */
async function measure(c: Case, dir: string, names: readonly string[], rounds: number): Promise<Side[]> {
  const workers = new Map<string, Worker>();
  for (const name of names) {
    const worker = start(name, c, dir);
    try {
      await worker.ready();
      await worker.time(1, false);
      workers.set(name, worker);
    } catch (error) {
      console.error(`  ${name}: ${(error as Error).message}`);
      await worker.end();
    }
  }
  for (let round = 0; round < rounds; round++)
    for (const worker of workers.values()) await worker.time(c.runs);
  const sides: Side[] = [];
  for (const [name, worker] of workers) {
    await worker.end();
    const { buildMs, rssMb, probe } = worker;
    sides.push({ name, ms: median(worker.ms), buildMs, rssMb, probe });
  }
  return sides;
}

/** The program from nothing to a picture on disk. */
async function coldStart(rounds: number): Promise<CaseResult> {
  const model = await checkpointOf('shipped', out);
  const sumi = [
    'dist/scripts/sumi.js',
    'generate',
    '--steps',
    '50',
    '--label',
    '0',
    '--scheduler',
    'ddim',
    '--no-refine',
  ];
  const c = { name: 'cold', kind: 'unet', task: 'sample', batch: 1, out: join(out, 'torch.png') };
  const commands: Record<string, [string, string[]]> = {
    sumi: [process.execPath, [...sumi, '--quiet', '--out', join(out, 'sumi.png')]],
  };
  if (python) commands.eager = [python, [at('torch_worker.py'), JSON.stringify(c), model, 'eager']];
  const taken: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++)
    for (const [name, [command, args]] of Object.entries(commands)) {
      const began = performance.now();
      const running = promisify(execFile)(command, args, { cwd: root });
      running.child.stdin?.end();
      await running;
      taken[name] ??= [];
      taken[name].push(performance.now() - began);
    }
  const sides = Object.entries(taken).map(([name, ms]) => ({
    name,
    ms: median(ms),
  }));
  return { name: '50 DDIM steps to a PNG, shipped, from a cold process', sides };
}

/** How a prediction's time grows with one thing, the others fixed. */
async function scaling(rounds: number): Promise<ScalingResult[]> {
  const results: ScalingResult[] = [];
  for (const [what, values] of Object.entries(plan.scaling) as [keyof typeof plan.scaling, number[]][]) {
    const points: ScalingResult['points'] = [];
    for (const value of values) {
      const [base, size] = [what === 'parameters' ? value : 64, what === 'pixels' ? value : 32];
      const dir = join(out, `${what}-${value}`);
      const parameters = await writeUNet(dir, {
        ...plan.networks['6.5M'].model,
        sample_size: size,
        block_out_channels: [base, 2 * base, 2 * base],
        norm_num_groups: 16,
        attention_head_dim: 32,
      });
      const batch = what === 'batch' ? value : 1;
      const c: Case = { name: what, network: what, kind: 'unet', task: 'predict', batch, runs: 3 };
      const sides = await measure(c, dir, ['sumi', ...variants.slice(0, 1)], rounds);
      const x = { pixels: size * size, batch, parameters }[what];
      points.push({ x, ms: sides.map(({ ms }) => ms) });
      console.error(`${what} ${x}: ${sides.map(({ name, ms }) => `${name} ${ms.toFixed(1)} ms`).join(', ')}`);
    }
    results.push({ what, points });
  }
  return results;
}

try {
  const wanted = (name: string) => argv.only === undefined || name.includes(argv.only);
  const results: CaseResult[] = [];
  for (const c of cases.filter(({ name }) => wanted(name))) {
    const sides = await measure(
      c,
      await checkpointOf(c.network, out),
      [...sidesOf(c), ...variants],
      argv.rounds,
    );
    results.push({ name: c.name, sides });
    console.error(c.name);
    for (const { name, ms, rssMb = 0, probe } of sides)
      console.error(`  ${name}: ${ms.toFixed(1)} ms, ${rssMb.toFixed(0)} MB, ${probe?.join(' ')}`);
  }
  if (wanted('cold')) results.push(await coldStart(argv.rounds));
  const scaled = argv.only === undefined ? await scaling(argv.rounds) : [];
  const text = markdown(results, scaled, argv.rounds);
  console.log(text);
  if (argv.write && argv.only === undefined && python)
    await writeFileAtomic(join(root, 'docs/performance.md'), text);
} finally {
  await rm(out, { recursive: true, force: true });
}
