/**
 * How good the pictures become for the same CPU time: Sumi's default recipe beside that of diffusers' example
 * train_unconditional.py on one folder, or recipes of Sumi's beside each other.
 *
 *   npm run bench:quality -- --minutes 60 --seeds 3 --data data/characters
 *   npm run bench:quality -- --minutes 20 --data data/characters --recipes a.json,b.json
 *   npm run bench:quality -- --data data/characters --recipes a.json,b.json --autoencoder models/characters --threads 1
 *
 * The example stands there twice: with its own network of 114 M parameters, and with one of the size of Sumi's, which its
 * option --model_config_name_or_path allows and which suits so little time better.
 *
 * A minute is one of CPU time (user and system, all threads), so that what else the machine does decides nothing; the
 * example gets what Sumi used. Without --minutes recipes have the steps that they say themselves. All models draw
 * through Sumi, and one network sees all pictures. What is done already is not done again: the same command goes on with
 * a measurement that was stopped.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { writeFileAtomic } from '../../src/files/index.js';
import { contactSheet, writePng } from '../../src/image/index.js';
import { evaluatePictures } from '../../src/metrics/evaluate.js';
import { generatedSet, labelsLike, type PictureSet, readPictureSet } from '../../src/metrics/picture-set.js';
import { writeReport } from '../../src/metrics/report.js';
import { DiffusionPipeline, type SamplingOptions } from '../../src/pipelines/index.js';
import { stepStarts } from '../../src/schedulers/index.js';
import { markdown, type Result, type Trained } from './report.js';

const root = resolve(import.meta.dirname, '../..');
const at = (file: string) => join(import.meta.dirname, file);

const argv = await yargs(hideBin(process.argv))
  .option('data', { type: 'string', demandOption: true, describe: 'Folder of pictures' })
  .option('minutes', {
    type: 'number',
    describe: 'CPU minutes of each training (recipes: default their steps)',
  })
  .option('seeds', { type: 'number', default: 3, describe: 'How many trainings of each recipe' })
  .option('first-seed', { type: 'number', default: 0, describe: 'To train several seeds side by side' })
  .option('size', { type: 'number', default: 64, describe: 'Side of the pictures, a multiple of 32' })
  .option('count', { type: 'number', default: 500, describe: 'Pictures that each model draws' })
  .option('peer-steps', { type: 'number', default: 50, describe: 'DDIM steps of the example’s model' })
  .option('recipes', { type: 'string', describe: 'Settings files of Sumi’s, with commas, instead' })
  .option('autoencoder', { type: 'string', describe: 'Checkpoint whose autoencoder all recipes use' })
  .option('threads', { type: 'number', describe: 'CPU cores of each training (default: all)' })
  .option('out', { type: 'string', default: 'runs/quality', describe: 'Folder for models and reports' })
  .option('python', {
    type: 'string',
    default: process.env.SUMI_BENCH_PYTHON ?? join(root, 'bench/.venv/bin/python'),
    describe: 'With PyTorch and diffusers (bench/peers.sh)',
  })
  .check(({ size, recipes, python, minutes }) => {
    if (recipes === undefined && minutes === undefined) throw new Error('--minutes or --recipes is needed');
    if (recipes === undefined && size % 32 !== 0) throw new Error(`--size ${size} is no multiple of 32`);
    if (recipes === undefined && !existsSync(python))
      throw new Error(`no PyTorch at ${python}: see peers.sh`);
    return true;
  })
  .strict()
  .parse();

/** A recipe that is measured. */
interface Side {
  readonly name: string;
  readonly train: (out: string, seed: number, cpuSeconds: number | undefined) => Promise<Trained>;
  /** How its model draws; empty: as the model says itself. */
  readonly sampling: SamplingOptions;
}

/** Runs a trainer, whose last line on stdout is what it has to say. */
async function run(command: string, args: readonly string[]): Promise<Trained> {
  const cores = argv.threads === undefined ? {} : { OMP_NUM_THREADS: String(argv.threads) };
  const env = { ...process.env, ...cores };
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((done, fail) => child.on('close', done).on('error', fail));
  const said = await text(child.stdout);
  const code = await ended;
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}`);
  return JSON.parse(said.trim().split('\n').at(-1) as string) as Trained;
}

const { size, autoencoder, threads } = argv;
const data = resolve(argv.data);

const sumi = (name: string, config?: string): Side => ({
  name,
  sampling: {},
  train: (out, seed, cpuSeconds) => {
    const order = { data, out, config, size, seed, cpuSeconds, autoencoder, threads };
    return run(process.execPath, ['--import', 'tsx', at('sumi-train.ts'), JSON.stringify(order)]);
  },
});

const peer = (name: string, ...network: string[]): Side => ({
  name,
  sampling: { scheduler: 'ddim', steps: argv.peerSteps },
  train: (out, seed, cpuSeconds) => {
    const order = [data, out, ...[size, seed, cpuSeconds].map(String), ...network];
    return run(argv.python, [at('train_unconditional.py'), ...order]);
  },
});

const sides =
  argv.recipes === undefined
    ? [sumi('sumi'), peer('diffusers'), peer('diffusers-small', at('small-unet.json'))]
    : argv.recipes.split(',').map((file) => sumi(basename(file, '.json'), resolve(file)));

/** Draws by a model and measures the pictures. */
async function measure(
  model: string,
  out: string,
  real: PictureSet,
  seed: number,
  sampling: SamplingOptions,
): Promise<Pick<Result, 'drawing' | 'secondsToDraw' | 'evaluation'>> {
  const { count } = argv;
  const pipeline = await DiffusionPipeline.fromPretrained(model);
  try {
    const scheduler = pipeline.schedulerFor(sampling);
    const began = performance.now();
    const pictures = await pipeline.generate({
      ...sampling,
      count,
      seed: seed * count,
      label: pipeline.labels.length > 0 ? labelsLike(real, count, seed) : undefined,
      batchSize: 8,
    });
    const secondsToDraw = (performance.now() - began) / 1000 / count;
    await writePng(join(out, 'pictures.png'), await contactSheet(pictures.slice(0, 64), { columns: 8 }));
    const generated = generatedSet(model, pictures);
    const evaluation = await evaluatePictures({ real, generated, cache: join(argv.out, 'features') });
    await writeReport(out, evaluation, generated, real);
    const drawing = `${String(scheduler.toConfig()._class_name)}, ${stepStarts(scheduler).length} steps`;
    return { drawing, secondsToDraw, evaluation };
  } finally {
    await pipeline.dispose();
  }
}

/** Trains and measures, unless that is done already. */
async function resultOf(
  side: Side,
  seed: number,
  cpuSeconds: number | undefined,
  real: PictureSet,
): Promise<Result> {
  const out = join(argv.out, `${side.name}-${seed}`);
  const file = join(out, 'result.json');
  const order = { data, size, minutes: argv.minutes, count: argv.count, sampling: side.sampling };
  const kept = await readFile(file, 'utf8')
    .then((text) => JSON.parse(text) as { order: object; result: Result })
    .catch(() => null);
  if (kept) {
    if (JSON.stringify(kept.order) !== JSON.stringify(order))
      throw new Error(`${file} is of another measurement: name another --out`);
    return kept.result;
  }
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  console.error(`${side.name}, seed ${seed}`);
  const model = join(out, 'run');
  const trained = await side.train(model, seed, cpuSeconds);
  const measured = await measure(model, out, real, seed, side.sampling);
  const result = { recipe: side.name, seed, ...trained, ...measured };
  await writeFileAtomic(file, JSON.stringify({ order, result }, null, 2));
  return result;
}

const real = await readPictureSet(data, { size, most: 5000 });
const results: Result[] = [];
for (let seed = argv.firstSeed; seed < argv.firstSeed + argv.seeds; seed++) {
  let cpuSeconds = argv.minutes && argv.minutes * 60;
  for (const side of sides) {
    const result = await resultOf(side, seed, cpuSeconds, real);
    results.push(result);
    // What Sumi really took, data and graphs and samples included, is what the example gets.
    if (argv.recipes === undefined && side === sides[0]) cpuSeconds = result.cpuSeconds;
    await writeFileAtomic(join(argv.out, 'report.md'), markdown(results, argv.data));
  }
}
console.log(markdown(results, argv.data));
