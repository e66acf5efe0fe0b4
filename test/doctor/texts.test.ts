/** `sumi doctor` on models that draw from texts, on networks by themselves, and on what a network predicts. */
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { readSafetensors, type TensorToWrite, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { Findings } from '../../src/doctor/findings.js';
import { type CheckpointExamination, examineCheckpoint, type Finding } from '../../src/doctor/index.js';
import { examinePrediction, type PredictionType } from '../../src/doctor/prediction.js';
import { findModel } from '../../src/pipelines/index.js';
import { Random } from '../../src/random.js';
import { capture } from '../cli/capture.js';
import { type StableCheckpoint, writeStable } from '../pipelines/stable.js';
import { temporaryFolder } from '../pipelines/tiny.js';
import { copied, editJson, editWeights, set } from './broken.js';

const at = temporaryFolder();
const examine = (dir: string) => examineCheckpoint(dir, { threads: 1 });
const sumi = (...argv: string[]) => capture(() => main(argv, commands));
const fixtures = join(import.meta.dirname, '../fixtures/models');
const sound = new Map<string, CheckpointExamination>();

/** Random weights know nothing of scales: the factor that makes latents' spread 1 is put in. */
beforeAll(async () => {
  for (const name of ['sd1', 'sd2', 'paint'] as StableCheckpoint[]) {
    await writeStable(at(name), name);
    const spread = (await examine(at(name))).measured.scaledLatents as number;
    await editJson(at(name), 'vae/config.json', (config) => {
      config.scaling_factor = ((config.scaling_factor as number | undefined) ?? 0.18215) / spread;
    });
    sound.set(name, await examine(at(name)));
  }
}, 120_000);

it.each(['sd1', 'sd2', 'paint'])('nothing is wrong with %s', (name) => {
  const { draws, findings, measured } = sound.get(name) as CheckpointExamination;
  expect(findings).toEqual([]);
  expect(draws).toBe(true);
  expect(measured.scaledLatents).toBeCloseTo(1, 4);
  expect(measured.prediction).toBeGreaterThan(0.1);
});

const text = (change: (tensors: Map<string, TensorToWrite>) => void) => async (dir: string) => {
  const path = join(dir, 'text_encoder/model.safetensors');
  const { tensors } = await readSafetensors(path);
  const changed = new Map<string, TensorToWrite>(tensors);
  change(changed);
  await writeSafetensors(path, changed);
};
const config =
  (part: string, values: Record<string, number | string | string[]>) =>
  (dir: string): Promise<void> =>
    editJson(dir, `${part}/config.json`, (json) => Object.assign(json, values));
const remove =
  (...names: string[]) =>
  (dir: string) =>
    rm(join(dir, ...names), { recursive: true });
const norm = 'text_model.final_layer_norm';

describe('sumi doctor finds in a model of texts', () => {
  it.each<[string, (dir: string) => Promise<unknown>, Finding['area'], Finding['severity'], RegExp]>([
    ['no text encoder', remove('text_encoder'), 'text', 'error', /^no text_encoder — .*copy the whole/],
    [
      'a text encoder that is listed',
      remove('text_encoder'),
      'files',
      'error',
      /^text_encoder is listed, and its/,
    ],
    ['no tokenizer', remove('tokenizer'), 'text', 'error', /^no tokenizer — /],
    [
      'a tokenizer that is listed',
      remove('tokenizer'),
      'files',
      'error',
      /^tokenizer is listed, and has no folder/,
    ],
    [
      'no vocabulary',
      remove('tokenizer/vocab.json'),
      'text',
      'error',
      /^no tokenizer file — .*vocab\.json — /,
    ],
    ['no merges', remove('tokenizer/merges.txt'), 'text', 'error', /^no tokenizer file — .*merges\.txt — /],
    [
      'no tokenizer config',
      remove('tokenizer/tokenizer_config.json'),
      'text',
      'warning',
      /^no tokenizer_config\.json: /,
    ],
    [
      'damaged merges',
      (dir) => writeFile(join(dir, 'tokenizer/merges.txt'), 'a b c d'),
      'text',
      'error',
      /is no pair of symbols/,
    ],
    [
      'no weights',
      remove('text_encoder/model.safetensors'),
      'files',
      'error',
      /^no weights: model\.safetensors is missing/,
    ],
    [
      'a class',
      config('text_encoder', { architectures: ['T5EncoderModel'] }),
      'config',
      'error',
      /^a T5EncoderModel is not supported/,
    ],
    [
      'a config',
      config('text_encoder', { num_attention_heads: 5 }),
      'config',
      'error',
      /^num_attention_heads 5 does not divide/,
    ],
    [
      'a width',
      config('unet', { cross_attention_dim: 48 }),
      'config',
      'error',
      /gives 32 channels \(hidden_size\), the UNet wants 48/,
    ],
    [
      'few tokens',
      config('text_encoder', { vocab_size: 600 }),
      'text',
      'error',
      /has a token 633, the text encoder 600/,
    ],
    [
      'many tokens',
      config('text_encoder', { vocab_size: 6000 }),
      'text',
      'warning',
      /knows 6000 tokens, the tokenizer 634/,
    ],
    [
      'lost weights',
      text((t) => t.delete(`${norm}.bias`)),
      'weights',
      'error',
      /1 missing \(text_model\.final_layer_norm\.bias\)/,
    ],
    [
      'extra weights',
      text((t) => t.set('more', { shape: [1], data: new Float32Array(1) })),
      'weights',
      'error',
      /1 extra \(more\)/,
    ],
    [
      'NaN',
      text(set(`${norm}.bias`, () => Number.NaN)),
      'weights',
      'error',
      /NaN or infinite weights in 1 of \d+ tensors \(text_model/,
    ],
    [
      'a deaf encoder',
      text(set(`${norm}.weight`, () => 0)),
      'text',
      'error',
      /^two different texts encode to the same — /,
    ],
    ['an overflow', text(set(`${norm}.weight`, () => 3e38)), 'text', 'error', /^a text encodes to NaN — /],
    [
      'weights of the UNet',
      (dir) => editWeights(dir, 'unet', (t) => t.delete('conv_in.bias')),
      'weights',
      'error',
      /1 missing \(conv_in\.bias\)/,
    ],
    [
      'a shape in the UNet',
      config('unet', { attention_head_dim: 5 }),
      'config',
      'error',
      /attention_head_dim 5/,
    ],
    ['an unknown key', config('unet', { colour: 'red' }), 'config', 'error', /^unknown key "colour"/],
    [
      'a class of UNet',
      config('unet', { _class_name: 'UNet3DConditionModel' }),
      'config',
      'error',
      /^a UNet3DConditionModel is not supported/,
    ],
    [
      'NaN in the UNet',
      (dir) =>
        editWeights(
          dir,
          'unet',
          set('conv_out.bias', () => 3e38),
        ),
      'network',
      'warning',
      /^predictions of noise have a standard deviation|NaN/,
    ],
    [
      'a lost autoencoder',
      remove('vae'),
      'config',
      'error',
      /^4 channels make neither a grey nor an RGB picture/,
    ],
    [
      'a typo',
      (dir) =>
        editJson(dir, 'scheduler/scheduler_config.json', (json) => {
          json.predicton_type = 'epsilon';
        }),
      'scheduler',
      'warning',
      /^unknown key "predicton_type"/,
    ],
  ])('%s', async (what, breaks, area, severity, message) => {
    const dir = await copied(at('sd1'), at(what));
    await breaks(dir);
    const { draws, findings } = await examine(dir);
    expect(findings).toContainEqual({ area, severity, message: expect.stringMatching(message) });
    expect(draws).toBe(findings.every((f) => f.severity === 'warning'));
    for (const found of findings) {
      expect(found.message.split(' — ').length, found.message).toBeGreaterThanOrEqual(3);
      expect(found.message).not.toContain('\n');
    }
  });

  it('says it as a command', async () => {
    const run = await sumi('doctor', at('sd1'), '--threads', '1');
    expect(run).toMatchObject({ value: 0, stderr: '' });
    expect(run.stdout).toMatch(/sd1: draws, nothing wrong\n {2}scaled latents ±1\.00, prediction ±/);
  });
});

describe('sumi doctor and a network by itself', () => {
  it.each(['autoencoder-kl', 'vq-group', 'tiny-relu', 'unet-ddpm', 'unet', 'text_encoder'])(
    '%s: finds what is wrong with its weights',
    async (name) => {
      const stable = name === 'unet' || name === 'text_encoder';
      const dir = await copied(stable ? at('sd1', name) : join(fixtures, name), at(`single-${name}`));
      const before = await examine(dir);
      expect(before.findings.filter((f) => f.severity === 'error')).toEqual([]);
      expect(before.draws).toBe(true);
      const file = name === 'text_encoder' ? 'model' : 'diffusion_pytorch_model';
      const path = join(dir, `${file}.safetensors`);
      const { tensors } = await readSafetensors(path);
      const changed = new Map<string, TensorToWrite>(tensors);
      const [first] = changed.keys();
      changed.delete(first);
      changed.set('more', { shape: [1], data: new Float32Array(1) });
      await writeSafetensors(path, changed);
      const { draws, findings } = await examine(dir);
      expect(draws).toBe(false);
      expect(findings).toContainEqual({
        area: 'weights',
        severity: 'error',
        message: expect.stringMatching(/1 missing \(\S+\), 1 extra \(more\) — /),
      });
    },
  );

  it('measures the latents of an autoencoder', async () => {
    const dir = await copied(join(fixtures, 'autoencoder-kl'), at('scaled'));
    await editJson(dir, 'config.json', (json) => Object.assign(json, { scaling_factor: 500 }));
    const { findings, measured } = await examine(dir);
    expect(measured.scaledLatents).toBeGreaterThan(3);
    expect(findings.map((f) => f.message).join('\n')).toMatch(/^scaled latents .* check scaling_factor/m);
  });

  it('finds configs that are damaged', async () => {
    const dir = await copied(join(fixtures, 'vq-group'), at('damaged'));
    await writeFile(join(dir, 'config.json'), '{');
    expect(await examine(dir)).toMatchObject({
      draws: false,
      findings: [{ area: 'files', severity: 'error', message: expect.stringMatching(/^not JSON /) }],
    });
  });
});

describe('what a network predicts', () => {
  const length = 400;
  const alphasCumprod = Float64Array.from(
    { length: 1000 },
    (_, t) => Math.cos((t / 1005) * (Math.PI / 2)) ** 2,
  );
  const picture = new Random(1).normal(length);
  /** A network that knows one picture and nothing else: whatever is not that picture is noise. */
  const trained = (type: PredictionType) => (sample: Float32Array, t: number) => {
    const [a, b] = [Math.sqrt(alphasCumprod[t]), Math.sqrt(1 - alphasCumprod[t])];
    const noise = sample.map((x, i) => (x - a * picture[i]) / Math.max(b, 1e-3));
    const v = noise.map((e, i) => a * e - b * picture[i]);
    return Promise.resolve({ epsilon: noise, sample: picture, v_prediction: v }[type]);
  };
  const types: PredictionType[] = ['epsilon', 'v_prediction', 'sample'];
  const examined = async (
    claimed: string,
    predict: (x: Float32Array, t: number) => Promise<Float32Array>,
  ) => {
    const findings = new Findings();
    const trial = { predict, length, alphasCumprod, random: new Random(2) };
    await examinePrediction(claimed, trial, 'here', findings);
    return findings.list.map(({ message }) => message);
  };

  it.each(types)('is told by its agreeing with itself: %s', async (type) => {
    for (const claimed of types) {
      const told = `prediction_type is ${claimed}, and the network predicts ${type} (its error is `;
      const expected = [expect.stringContaining(told)];
      // Of x_0 it is not told: a network that looks at nothing would agree with itself as well.
      const silent = type === claimed || type === 'sample';
      expect(await examined(claimed, trained(type)), claimed).toEqual(silent ? [] : expected);
    }
    expect(await examined('flow_prediction', trained(type))).toEqual([]);
  });

  it('is not told of what was not trained', async () => {
    for (const claimed of types) {
      expect(await examined(claimed, async (_, t) => new Random(t).normal(length))).toEqual([]);
      expect(await examined(claimed, async () => new Float32Array(length))).toEqual([]);
    }
  });

  it('is found out of the shipped model, whose scheduler says something else', async () => {
    const dir = at('flipped');
    await cp(await findModel('characters'), dir, { recursive: true });
    let trained = '';
    await editJson(dir, 'scheduler/scheduler_config.json', (json) => {
      trained = String(json.prediction_type ?? 'epsilon');
      json.prediction_type = trained === 'epsilon' ? 'v_prediction' : 'epsilon';
    });
    await rm(join(dir, 'sumi.json'));
    const { draws, findings } = await examine(dir);
    const told = findings.map(({ message }) => message).join('\n');
    expect(told).toMatch(
      trained === 'epsilon' ? /the network predicts epsilon / : /the network predicts v_prediction /,
    );
    expect(draws).toBe(false);
  });
});
