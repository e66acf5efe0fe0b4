/** `sumi segment`: trained, stopped and resumed, put to work, and refusing what it cannot use. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { listStates, loadState } from '../../src/checkpoint/index.js';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { renderDataset } from '../../src/data/rendered/index.js';
import { decodeRgb } from '../../src/image/index.js';
import { openClip } from '../../src/segmentation/frames.js';
import { growMask } from '../../src/segmentation/grow.js';
import {
  parseSegmentConfig,
  predictVideo,
  readSegmentModel,
  resumeSegmenter,
  trainSegmenter,
} from '../../src/segmentation/index.js';
import { capture } from '../cli/capture.js';
import { png, temporaryFolder, write } from '../data/helpers.js';
import { labelled, writeTiny } from '../pipelines/tiny.js';

const dir = await temporaryFolder();
const data = join(dir, 'cells');
const [images, masks] = [join(data, 'images'), join(data, 'masks')];
const classes = join(data, 'classes.json');
const small = ['--base', '4', '--levels', '2', '--patch', '32', '--batch', '4', '--threads', '1'];
const model = { base: 4, levels: 2 };
const config = (more: object = {}) =>
  parseSegmentConfig({
    model,
    patch: 32,
    batch_size: 4,
    steps: 12,
    checkpoint_every: 4,
    learning_rate: 1e-2,
    ...more,
  });

/** Runs the command line. */
async function sumi(...words: string[]) {
  const code = process.exitCode;
  process.exitCode = undefined;
  const { value, stdout, stderr } = await capture(() => main(words, commands));
  process.exitCode = code;
  return { code: value, stdout, stderr };
}
const segment = (...words: string[]) => sumi('segment', ...words);

beforeAll(async () => {
  await renderDataset('cells', { out: data, size: 48, count: 16, seed: 1 });
});

describe('training', () => {
  const run = join(dir, 'run');

  it('learns, and leaves a model that predicts', async () => {
    const trained = await segment(
      ...['train', '--images', images, '--masks', masks, '--classes', classes, '--out', run, ...small],
      ...['--steps', '80', '--checkpoint-every', '40', '--lr', '0.01', '--json', '--quiet'],
    );
    expect(trained.stderr).toBe('');
    expect(trained.code).toBe(0);
    const result = JSON.parse(trained.stdout);
    expect(result.pictures).toEqual({ train: 13, validation: 3 });
    expect(result.best.meanDice).toBeGreaterThan(0.75); // all background: 0, all cells: 0.2
    expect(await readdir(join(run, 'samples'))).toEqual(['step-40.png', 'step-80.png']);
    const { tensors } = await readSafetensors(join(run, 'model', 'diffusion_pytorch_model.safetensors'));
    const variance = tensors.get('inc.double_conv.1.running_var')?.data as Float32Array;
    expect(variance.every((v) => v > 0 && v !== 1)).toBe(true); // measured, not as they began
    expect((await readSegmentModel(run)).table.classes.map(({ name }) => name)).toEqual([
      'background',
      'cell',
    ]);
    const seen = await sumi('inspect', join(run, 'model'));
    expect(seen.code).toBe(0);
    expect(seen.stdout).toContain('UNet');
  }, 120_000);

  it('predicts, scores, counts, and writes what is asked for', async () => {
    const out = join(dir, 'out');
    const kinds = 'mask,overlay,probabilities,cutout,svg,geojson,ids';
    const predicted = await segment(
      ...['predict', '--model', run, '--image', images, '--masks', masks, '--out', out, '--save', kinds],
      ...['--split', '--json', '--quiet', '--threads', '1'],
    );
    expect(predicted.code).toBe(0);
    const report = JSON.parse(predicted.stdout);
    expect(report.pictures).toHaveLength(16);
    expect(report.scores.classes[1].name).toBe('cell');
    expect(report.scores.meanDice).toBeGreaterThan(0.75);
    const files = await readdir(out);
    for (const end of [
      '-mask.png',
      '-overlay.png',
      '-probability-1-cell.png',
      '-cutout.png',
      '.svg',
      '.geojson',
      '-ids.png',
    ])
      expect(files).toContain(`00003${end}`);
    const things = (await readFile(join(out, 'things.csv'), 'utf8')).trim().split('\r\n').length - 1;
    expect(things).toBe(
      report.pictures.reduce((n: number, p: { classes: { things: number }[] }) => n + p.classes[1].things, 0),
    );
    expect(things).toBeGreaterThan(50);
  });

  it('says where sumi inpaint draws', async () => {
    await writeTiny(join(dir, 'diffusion'), labelled);
    const picture = join(images, '00002.png');
    const found = join(dir, 'found');
    await segment('predict', '--model', run, '--image', picture, '--out', found, '--save', 'mask', '--quiet');
    const inpaint = (...words: string[]) =>
      sumi(
        'inpaint',
        '--model',
        join(dir, 'diffusion'),
        '--image',
        picture,
        '--steps',
        '2',
        '--method',
        'replace',
        '--quiet',
        ...words,
      );
    const out = join(dir, 'inpainted.png');
    const drawn = await inpaint('--mask-from', `segment:${run}`, '--mask-grow', '2', '--out', out, '--json');
    expect(drawn.stderr).toBe('');
    const { painted } = JSON.parse(drawn.stdout);
    const [was, is, mask] = await Promise.all(
      [picture, out, join(found, '00002-mask.png')].map((f) => decodeRgb(f)),
    );
    const inside = Float32Array.from({ length: 48 * 48 }, (_, i) => (mask.data[i * 3] > 127 ? 1 : 0));
    const grown = growMask(inside, mask, 2);
    expect(painted).toBeCloseTo(grown.reduce((a, b) => a + b) / grown.length, 3);
    expect(painted).toBeGreaterThan(inside.reduce((a, b) => a + b) / inside.length);
    grown.forEach((g, i) => {
      if (g === 0)
        expect([...is.data.subarray(i * 3, i * 3 + 3)]).toEqual([...was.data.subarray(i * 3, i * 3 + 3)]);
    });
    expect(is.data).not.toEqual(was.data);
    const cases: [string[], RegExp][] = [
      [['--mask-from', run], /write segment:MODEL/],
      [['--mask-from', `segment:${dir}`], /no segmentation model/],
      [['--mask-from', `segment:${run}`, '--mask-classes', 'dog'], /no class dog — --mask-classes/],
      [['--mask', picture, '--mask-classes', 'cell'], /a mask’s file has no classes/],
      [['--mask', picture, '--mask-from', `segment:${run}`], /exclude each other/],
      [[], /no mask — sumi inpaint/],
    ];
    for (const [words, message] of cases) {
      const { code, stderr } = await inpaint(...words);
      expect(stderr, words.join(' ')).toMatch(message);
      expect(code).toBe(2);
    }
  });

  it('says what has changed between two pictures', async () => {
    const [before, after] = ['00000.png', '00001.png'].map((name) => join(images, name));
    const out = join(dir, 'changed-out');
    const words = ['change', '--model', run, '--out', out, '--quiet', '--json'];
    const { code, stdout } = await segment(...words, '--before', before, '--after', after);
    expect(code).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.transitions.map((t: { from: string; to: string }) => `${t.from} ${t.to}`).sort()).toEqual([
      'background cell',
      'cell background',
    ]);
    expect(await readdir(out)).toEqual(['change-mask.png', 'change-overlay.png', 'change.json']);
    const same = JSON.parse((await segment(...words, '--before', before, '--after', before)).stdout);
    expect(same.share).toBe(0);
  });

  it('goes through the frames of a clip', async () => {
    const out = join(dir, 'clip-out');
    const words = [
      'video',
      '--model',
      run,
      '--video',
      images,
      '--frames',
      '3',
      '--out',
      out,
      '--quiet',
      '--json',
    ];
    const { code, stdout, stderr } = await segment(...words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ frames: 3, width: 48, height: 48 });
    expect(await readdir(join(out, 'masks'))).toEqual(['00000.png', '00001.png', '00002.png']);
    const film = await openClip(join(out, 'motion.webp'));
    expect(film.count).toBe(3);
    const lines = (await readFile(join(out, 'tracks.csv'), 'utf8')).trim().split('\r\n');
    expect(lines.length - 1).toBe(
      report.tracks.reduce((n: number, t: { frames: number }) => n + t.frames, 0),
    );
    expect(
      (await segment('video', '--model', run, '--video', join(dir, 'no.mp4'), '--quiet')).stderr,
    ).toMatch(/no such file/);
    expect((await segment(...words, '--smooth', '2')).stderr).toMatch(/--smooth/);
    // In code, where nobody asks for progress, as well.
    const quiet = join(dir, 'clip-in-code');
    const made = await predictVideo(await readSegmentModel(run), images, quiet, { most: 3, film: false });
    expect(report).toMatchObject({ ...made, files: {} });
    for (const file of ['tracks.csv', 'masks/00002.png'])
      expect(await readFile(join(quiet, file))).toEqual(await readFile(join(out, file)));
  });

  it('is refused with reasons', async () => {
    const cases: [string[], RegExp][] = [
      [['train'], /give --images, --masks and --out/],
      [['train', '--images', images, '--masks', masks, '--out', run, ...small], /not empty .*--resume/],
      [['train', '--images', images, '--out', join(dir, 'x'), '--patch', '30'], /does not halve 3 times/],
      [['train', '--images', join(dir, 'none'), '--masks', masks, '--out', join(dir, 'x')], /no such folder/],
      [['train', '--images', masks, '--out', join(dir, 'x')], /no masks .*--masks/],
      [
        ['train', '--images', images, '--out', join(dir, 'x'), '--class-weights', '1,2,3'],
        /3 class weights for 2 classes/,
      ],
      [['train', '--images', images, '--out', join(dir, 'x'), '--class-weights', 'much'], /no such weights/],
      [
        ['train', '--images', images, '--out', join(dir, 'x'), '--group', 'folder', '--validation', '2'],
        /validation/,
      ],
      [['train', '--resume', run, '--patch', '64'], /keeps its own settings — --patch/],
      [['train', '--resume', dir], /config.json/],
      [['predict', '--model', dir, '--image', images], /no segmentation model/],
      [['predict', '--model', run, '--image', join(dir, 'none.png')], /none.png/],
      [['predict', '--model', run, '--image', images, '--save', 'film'], /cannot save film/],
      [['predict', '--model', run, '--image', images, '--keep', 'dog'], /no class dog .*background, cell/],
      [['predict', '--model', run, '--image', images, '--tile', '64', '--overlap', '60'], /half a tile/],
      [
        ['predict', '--model', run, '--image', join(images, '00000.png'), '--masks', masks],
        /give the mask’s file/,
      ],
      [['predict', '--image', images], /missing --model/],
      [['learn'], /unknown action learn — sumi segment — choose from train, predict, change, video, example/],
      [[], /no action given/],
    ];
    for (const [words, message] of cases) {
      const { code, stderr } = await segment(...words, '--quiet');
      expect(stderr.replaceAll("'", '’'), words.join(' ')).toMatch(message);
      expect(code, words.join(' ')).toBe(2);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
    expect(await readdir(dir)).not.toContain('x');
  });

  it('stops at masks that are no masks, and --check lists why', async () => {
    const at = join(dir, 'bad');
    await write(at, {
      'i/a.png': await png('red', 8),
      'm/a.png': await png('black', 9),
      'i/b.png': await png('red', 8),
      'm/b.png': await png('black', 8),
    });
    const words = ['train', '--images', join(at, 'i'), '--masks', join(at, 'm')];
    const checked = await segment(...words, '--check', '--quiet');
    expect(checked.code).toBe(2);
    expect(checked.stdout).toMatch(/error: the mask is 9×9, the picture 8×8 — a.png — make them equal/);
    expect(checked.stdout).toMatch(/error: the masks have one class only/);
    const refused = await segment(...words, '--out', join(at, 'run'), '--quiet');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/--check lists them/);
  });
});

describe('a run', () => {
  it('that was stopped goes on as if it had not', async () => {
    const [whole, parts] = [join(dir, 'whole'), join(dir, 'parts')];
    await trainSegmenter({ images, out: whole, config: config(), threads: 1 });
    const controller = new AbortController();
    const stopped = await trainSegmenter({
      ...{ images, out: parts, config: config(), threads: 1 },
      signal: controller.signal,
      onStep: ({ step }) => {
        if (step === 6) controller.abort();
      },
    });
    expect([stopped.interrupted, stopped.stage.step]).toEqual([true, 6]);
    const done = await resumeSegmenter({ run: parts, threads: 1 });
    expect([done.interrupted, done.stage.step]).toEqual([false, 12]);
    const states = await Promise.all(
      [whole, parts].map(async (run) => loadState((await listStates(run))[0].dir)),
    );
    expect(states[1].arrays.params).toEqual(states[0].arrays.params);
    expect(states[1].arrays.ema).toEqual(states[0].arrays.ema);
    const newest = async (run: string) =>
      (await readFile(join(run, 'validation.jsonl'), 'utf8')).trim().split('\n').at(-1);
    expect(await newest(parts)).toBe(await newest(whole));
  }, 120_000);

  it('stops early when nothing becomes better, and keeps the best', async () => {
    const run = join(dir, 'early');
    // A learning rate of nearly nothing: the first measurement stays the best, or nearly so.
    const result = await trainSegmenter({
      ...{ images, out: run, threads: 1 },
      config: config({ steps: 200, checkpoint_every: 1, patience: 3, learning_rate: 1e-9, ema_decay: 0 }),
    });
    expect(result.stoppedEarly).toBe(true);
    expect(result.interrupted).toBe(false);
    expect(result.stage.step).toBeLessThan(60);
    const { recipe } = await readSegmentModel(run);
    expect(recipe.step).toBe(result.best?.step);
    const again = await resumeSegmenter({ run, threads: 1 });
    expect([again.stoppedEarly, again.stage.step]).toEqual([true, result.stage.step]);
    const more = await resumeSegmenter({ run, threads: 1, patience: 0, steps: result.stage.step + 2 });
    expect(more.stage.step).toBe(result.stage.step + 2);
  }, 120_000);

  it('is refused other data', async () => {
    const at = join(dir, 'changed');
    await renderDataset('cells', { out: at, size: 48, count: 16, seed: 2 });
    await expect(resumeSegmenter({ run: join(dir, 'whole'), images: join(at, 'images') })).rejects.toThrow(
      /not those that the run began with/,
    );
  });

  it('without a validation part publishes its last model', async () => {
    const run = join(dir, 'unmeasured');
    await mkdir(run);
    const result = await trainSegmenter({
      images,
      out: run,
      config: config({ validation: 0, steps: 4 }),
      threads: 1,
    });
    expect(result.best).toBeNull();
    expect((await readSegmentModel(run)).recipe.step).toBe(4);
  });
});

afterAll(() => rm(dir, { recursive: true, force: true }));
