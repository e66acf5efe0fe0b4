/** Training checkpoints of every kind further: those that draw from texts, and those of other autoencoders. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { listStates, loadState, readPipelineDir, readSafetensors } from '../../src/checkpoint/index.js';
import { readJsonObject } from '../../src/checkpoint/json.js';
import { openDataset } from '../../src/data/index.js';
import { writePng } from '../../src/image/index.js';
import { loadModel } from '../../src/pipelines/index.js';
import { PromptEncoder } from '../../src/pipelines/text.js';
import { Captions } from '../../src/training/captions.js';
import { parseTrainConfig, resumeTraining, settingsOf, train } from '../../src/training/index.js';
import { capture } from '../cli/capture.js';
import { noisyPicture } from '../pipelines/pictures.js';
import { writeStable } from '../pipelines/stable.js';
import { labelled, latent, temporaryFolder, writeTiny } from '../pipelines/tiny.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const texts = ['a photo of the cat', 'the dog', 'a photo of the cat', undefined];

beforeAll(async () => {
  await mkdir(at('data'));
  const rows: string[] = [];
  for (const [i, text] of texts.entries()) {
    const file_name = `${i}.png`;
    await writePng(at('data', file_name), noisyPicture(32, 32, i));
    rows.push(JSON.stringify({ file_name, text }));
  }
  await writeFile(at('data', 'metadata.jsonl'), rows.join('\n'));
  for (const name of ['sd1', 'sd2', 'paint'] as const) await writeStable(at(name), name);
  for (const name of ['vq', 'taesd'])
    await cp(join(import.meta.dirname, '../fixtures/pipelines', name), at(name), { recursive: true });
  await writeTiny(at('labelled'), labelled);
  await writeTiny(at('latent'), latent);
}, 60_000);

const weights = async (dir: string) =>
  (await readSafetensors((await readPipelineDir(dir)).unet.weights)).tensors;
const quick = ['--steps', '3', '--batch', '2', '--threads', '1', '--quiet'];

describe('settings of a checkpoint', () => {
  it('are its network, size and noise schedule', async () => {
    const { size, diffusion, sampling } = parseTrainConfig(await settingsOf(at('sd2')), 'sd2');
    const scheduler = await readJsonObject(at('sd2', 'scheduler', 'scheduler_config.json'));
    expect(size).toBe(32);
    for (const key of [
      'beta_start',
      'beta_end',
      'beta_schedule',
      'prediction_type',
      'num_train_timesteps',
    ] as const)
      expect(diffusion[key], key).toBe(scheduler[key]);
    expect(diffusion.model._class_name).toBe('UNet2DConditionModel');
    expect(sampling.guidance_scale).toBe(7.5);
  });

  it('are how sumi.json says that it draws', async () => {
    const { sampling, size } = parseTrainConfig(await settingsOf(at('labelled')), 'labelled');
    expect(sampling).toEqual({ steps: 3, scheduler: 'ddim', guidance_scale: 2 });
    expect(size).toBe(16);
  });

  it('lie under a file’s', async () => {
    await writeFile(at('lr.json'), JSON.stringify({ diffusion: { learning_rate: 0.5, beta_end: 0.01 } }));
    const out = at('lr');
    const run = await sumi(
      'train',
      '--data',
      at('data'),
      '--out',
      out,
      '--init',
      at('latent'),
      '--config',
      at('lr.json'),
      ...quick,
    );
    expect(run).toMatchObject({ value: 0 });
    const { config } = (await readJsonObject(join(out, 'config.json'))) as { config: { diffusion: object } };
    expect(config.diffusion).toMatchObject({ learning_rate: 0.5, beta_end: 0.01, beta_start: 1e-4 });
    // Another schedule than the model had is said by a scheduler of its own.
    const { scheduler } = await readPipelineDir(out);
    expect(scheduler?.config).toMatchObject({ beta_end: 0.01, timestep_spacing: 'trailing' });
  });
});

describe('a model that draws from texts', () => {
  it('is trained on captions, resumed bit for bit and published whole', async () => {
    await writeFile(at('hurried.json'), JSON.stringify({ sampling: { steps: 2 } }));
    const run = await sumi(
      'train',
      '--data',
      at('data'),
      '--out',
      at('texts'),
      '--init',
      at('sd1'),
      '--config',
      at('hurried.json'),
      ...quick,
      '--steps',
      '6',
    );
    expect(run).toMatchObject({ value: 0 });
    const stop = new AbortController();
    const given = await settingsOf(at('sd1'));
    const diffusion = { ...given.diffusion, steps: 6, batch_size: 2 };
    const settings = { ...given, diffusion, sampling: { ...given.sampling, steps: 2 } };
    await train({
      data: at('data'),
      out: at('again'),
      config: parseTrainConfig(settings, 'test'),
      initFrom: at('sd1'),
      threads: 1,
      signal: stop.signal,
      onStep: ({ step }) => step === 3 && stop.abort(),
    });
    const { stages } = await resumeTraining({ run: at('again'), threads: 1 });
    expect(stages[0].step).toBe(6);
    const [whole, parted] = await Promise.all(
      ['texts', 'again'].map(async (name) => loadState((await listStates(at(name)))[0].dir)),
    );
    for (const name of ['params', 'm', 'v', 'ema'])
      expect(parted.arrays[name], name).toEqual(whole.arrays[name]);

    const published = await readPipelineDir(at('texts'));
    const source = await readPipelineDir(at('sd1'));
    expect(published.className).toBe('StableDiffusionPipeline');
    expect(published.scheduler).toEqual({
      ...source.scheduler,
      config: expect.objectContaining({ beta_schedule: 'scaled_linear' }),
    });
    expect(published.autoencoder?.folder).toBe('vae');
    const [before, after] = [await weights(at('sd1')), await weights(at('texts'))];
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    const moved = (name: string) => {
      const [was, is] = [before, after].map((tensors) => tensors.get(name)?.data as Float32Array);
      return is.some((x, i) => x !== was[i]);
    };
    // What looks at the text has learned, too.
    expect([...after.keys()].filter((name) => /attn2\.to_k/.test(name)).every(moved)).toBe(true);
    const text = (await readSafetensors(published.textEncoder?.weights as string)).tensors;
    expect(text.size).toBe((await readSafetensors(source.textEncoder?.weights as string)).tensors.size);
    // transformers 5 does not open whole numbers here.
    const told = await readJsonObject(at('texts', 'model', 'text_encoder', 'config.json'));
    expect(Number.isInteger(told.initializer_factor)).toBe(false);
    const out = at('drawn.png');
    const drawn = await sumi(
      'generate',
      '--model',
      at('texts'),
      '--prompt',
      'the dog',
      '--steps',
      '2',
      '--threads',
      '1',
      '--out',
      out,
    );
    expect(drawn).toMatchObject({ value: 0, stdout: `${out}\n` });
  }, 120_000);

  it('is told each picture’s text, and the empty one where there is none', async () => {
    const dataset = await openDataset(at('data'), { size: 32 });
    const { text } = await loadModel(at('sd1'));
    if (!text) throw new Error('no text encoder');
    const captions = await Captions.of(dataset, text, { threads: 1 });
    const encoder = new PromptEncoder(text, { threads: 1 });
    const expected = [await encoder.encode('the dog'), await encoder.encode('')];
    await encoder.dispose();
    const { data, shape } = captions.rows([dataset.labels.indexOf('the dog'), dataset.labels.length]);
    expect(shape).toEqual([2, ...encoder.shape]);
    const each = data.length / 2;
    for (const [i, row] of expected.entries())
      expect(Array.from(data.subarray(i * each, (i + 1) * each))).toEqual(Array.from(row));
  });

  it('learns one picture by its text', async () => {
    await mkdir(at('one'));
    await writePng(at('one', 'a.png'), noisyPicture(32, 32, 9));
    await writeFile(at('one', 'metadata.jsonl'), JSON.stringify({ file_name: 'a.png', text: 'the dog' }));
    const settings = await settingsOf(at('sd1'));
    const diffusion = {
      ...settings.diffusion,
      learning_rate: 2e-3,
      batch_size: 4,
      steps: 60,
      lr_warmup_steps: 5,
    };
    const sampling = { ...settings.sampling, steps: 2 };
    const config = parseTrainConfig({ ...settings, diffusion, sampling }, 'test');
    await train({ data: at('one'), out: at('one-run'), config, initFrom: at('sd1'), threads: 1 });
    const losses = (await readFile(at('one-run', 'metrics.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).loss)
      .filter((loss) => loss !== undefined);
    const mean = (of: number[]) => of.reduce((a, b) => a + b) / of.length;
    expect(mean(losses.slice(-10))).toBeLessThan(0.8 * mean(losses.slice(0, 10)));
  }, 120_000);
});

describe.each([
  ['vq', 'VQModel'],
  ['taesd', 'AutoencoderTiny'],
  ['latent', 'AutoencoderKL'],
])('a model of latents: %s', (name, className) => {
  it('is trained on and published with its autoencoder', async () => {
    const out = at(`${name}-run`);
    const run = await sumi(
      'train',
      '--data',
      at('data'),
      '--out',
      out,
      '--init',
      at(name),
      '--size',
      '16',
      ...quick,
    );
    expect(run).toMatchObject({ value: 0 });
    const [published, source] = [await readPipelineDir(out), await readPipelineDir(at(name))];
    expect(published.autoencoder?.className).toBe(className);
    const [a, b] = await Promise.all(
      [published, source].map(
        async ({ autoencoder }) => (await readSafetensors(autoencoder?.weights as string)).tensors,
      ),
    );
    for (const [key, { data }] of b) expect(a.get(key)?.data, key).toEqual(data);
    const drawn = await sumi(
      'generate',
      '--model',
      out,
      '--steps',
      '2',
      '--threads',
      '1',
      '--out',
      at(`${name}.png`),
    );
    expect(drawn.value).toBe(0);
  }, 60_000);
});

describe('bad input', () => {
  const start = (...more: string[]) =>
    sumi('train', '--data', at('data'), '--out', at('none'), ...quick, ...more);

  it('is refused with what to do', async () => {
    await cp(at('sd1'), at('mute'), { recursive: true });
    await rm(at('mute', 'text_encoder'), { recursive: true });
    await cp(at('labelled'), at('variances'), { recursive: true });
    const network = at('variances', 'unet', 'config.json');
    await writeFile(network, JSON.stringify({ ...(await readJsonObject(network)), out_channels: 6 }));
    await writeFile(at('texts.json'), JSON.stringify(await settingsOf(at('sd1'))));
    await writeFile(
      at('zero.json'),
      JSON.stringify({ diffusion: { rescale_betas_zero_snr: true, prediction_type: 'epsilon' } }),
    );
    for (const [wrong, told] of [
      [['--init', at('variances')], /takes 3 channels and predicts 6 .* use one that predicts as many/],
      [['--init', at('mute')], /no text_encoder/],
      [['--init', at('sd1'), '--size', '30'], /30/],
      [['--config', at('texts.json')], /needs a text encoder .* --init/],
      [['--init', at('labelled'), '--config', at('zero.json')], /pure noise.* use "v_prediction"/],
      [['--init', at('nowhere')], /no model .*nowhere/],
    ] as const) {
      const { value, stderr } = await start(...wrong);
      expect([value, stderr]).toEqual([2, expect.stringMatching(told)]);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  }, 60_000);
});
