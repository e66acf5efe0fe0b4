/** Ways to break a checkpoint, and what `sumi doctor` should say of each. */
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { JsonObject } from '../../src/checkpoint/json.js';
import type { TensorToWrite } from '../../src/checkpoint/safetensors.js';
import type { Finding } from '../../src/doctor/index.js';
import { editJson, editWeights, set, WEIGHTS } from './broken.js';

const root = process.getuid?.() === 0;

type Expected = [area: Finding['area'], severity: Finding['severity'], message: RegExp];
/** A name, the sound checkpoint that is copied, how the copy is broken, and what must be found. */
type Case = [what: string, base: string, breaks: (dir: string) => Promise<unknown>, ...expected: Expected[]];

const json = (file: string, change: (json: JsonObject) => void) => (dir: string) =>
  editJson(dir, file, change);
const unet = (change: (tensors: Map<string, TensorToWrite>) => void) => (dir: string) =>
  editWeights(dir, 'unet', change);
const scheduler = (values: JsonObject) =>
  json('scheduler/scheduler_config.json', (config) => Object.assign(config, values));
const recipe = (values: JsonObject) =>
  json('sumi.json', (sumi) => {
    sumi.recipe = { config: { diffusion: values } };
  });
const both =
  (...all: ((dir: string) => Promise<unknown>)[]) =>
  async (dir: string) => {
    for (const one of all) await one(dir);
  };

export const cases: Case[] = [
  [
    'a pickle',
    'labelled',
    (dir) => writeFile(join(dir, 'unet/model.bin'), 'x'),
    ['files', 'warning', /^pickles, .*: unet.model\.bin — /],
  ],
  [
    'what a killed process left',
    'labelled',
    (dir) => mkdir(join(dir, 'unet/.x.tmp-elsewhere-1-deadbeef')),
    ['files', 'warning', /^left over .*: unet..x\.tmp-elsewhere-1-deadbeef — /],
  ],
  [
    'a folder that stepped aside',
    'labelled',
    (dir) => mkdir(join(dirname(dir), '.a folder that stepped aside.old')),
    ['files', 'warning', /^left over .*: \.\..\.a folder that stepped aside\.old — /],
  ],
  [
    'a download that was cut short',
    'labelled',
    (dir) => writeFile(join(dir, 'unet/weights.incomplete'), 'x'),
    ['files', 'warning', /^left over .*: unet.weights\.incomplete — /],
  ],
  [
    'a pointer of git-lfs',
    'labelled',
    (dir) =>
      writeFile(join(dir, 'unet', WEIGHTS), 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
    [
      'files',
      'error',
      /^git's pointer to a large file .*: unet.diffusion_pytorch_model\.safetensors — .*lfs pull/,
    ],
  ],
  [
    'a link that leads nowhere',
    'labelled',
    (dir) => symlink('nowhere', join(dir, 'unet/more.json')),
    ['files', 'warning', /^links that lead nowhere: unet.more\.json — /],
  ],
  [
    'a file that anybody may change',
    'labelled',
    (dir) => chmod(join(dir, 'unet/config.json'), 0o666),
    ['files', 'warning', /^anybody may change unet.config\.json — /],
  ],
  [
    'a file that nobody may read',
    'labelled',
    async (dir) => {
      await writeFile(join(dir, 'unet/notes.txt'), 'x');
      await chmod(join(dir, 'unet/notes.txt'), 0o000);
    },
    [
      'files',
      root ? 'warning' : 'error',
      root ? /^nobody else than root may read unet.notes\.txt/ : /^no permission to read unet.notes\.txt/,
    ],
  ],
  [
    'no weights',
    'labelled',
    (dir) => rm(join(dir, 'unet', WEIGHTS)),
    ['files', 'error', /^no weights: .* is missing — /],
  ],
  [
    'an autoencoder that is gone',
    'latent',
    (dir) => rm(join(dir, 'vqvae'), { recursive: true }),
    ['files', 'error', /^vqvae is listed, and its folder has no config — /],
    ['config', 'error', /^4 channels make neither a grey nor an RGB picture — /],
  ],
  [
    'an unknown key',
    'labelled',
    json('unet/config.json', (config) => {
      config.colour = 1;
    }),
    ['config', 'error', /^unknown key "colour" — .*unet — /],
  ],
  [
    'keys that contradict each other',
    'latent',
    json('vqvae/config.json', (config) => {
      config.up_block_types = ['UpDecoderBlock2D'];
    }),
    ['config', 'error', /^up_block_types has 1 entries, block_out_channels 2 — /],
  ],
  [
    'another class than is listed',
    'latent',
    json('model_index.json', (index) => {
      index.vqvae = ['diffusers', 'VQModel'];
    }),
    ['config', 'warning', /^vqvae is a AutoencoderKL, and listed as VQModel — .*model_index\.json/],
  ],
  [
    'a network of another kind',
    'labelled',
    json('unet/config.json', (config) => {
      config._class_name = 'UNet1DModel';
    }),
    ['config', 'error', /^a UNet1DModel is not supported — /],
  ],
  [
    'missing, extra and misshapen weights',
    'labelled',
    unet((tensors) => {
      for (const name of [...tensors.keys()].filter((n) => n.startsWith('mid_block.'))) tensors.delete(name);
      tensors.set('more.weight', { shape: [1], data: Float32Array.of(1) });
      tensors.set('conv_in.bias', { shape: [4], data: new Float32Array(4) });
    }),
    [
      'weights',
      'error',
      /: \d+ missing \(mid_block\S+, \S+, \S+ and \d+ more\), 1 extra \(more\.weight\), 1 of another shape \(conv_in\.bias \[4\] not \[8\]\) — /,
    ],
  ],
  [
    'NaN',
    'labelled',
    unet(set('conv_in.weight', () => Number.NaN)),
    ['weights', 'error', /^NaN or infinite weights in 1 of \d+ tensors \(conv_in\.weight\) — /],
  ],
  [
    'infinity',
    'latent',
    (dir) =>
      editWeights(
        dir,
        'vqvae',
        set('quant_conv.bias', () => Number.POSITIVE_INFINITY),
      ),
    ['weights', 'error', /^NaN or infinite weights in 1 of \d+ tensors \(quant_conv\.bias\) — /],
  ],
  [
    'a result of nothing but its bias',
    'labelled',
    unet(set('conv_out.weight', () => 0)),
    ['weights', 'error', /^nothing but zeros in conv_out\.weight: .*does not depend on its input — /],
  ],
  [
    'layers of zeros',
    'labelled',
    unet(set('time_embedding.linear_1.weight', () => 0)),
    ['weights', 'warning', /^nothing but zeros in time_embedding\.linear_1\.weight — /],
  ],
  [
    'a convolution of zeros in a layer that does something',
    'labelled',
    unet(set('down_blocks.0.resnets.0.conv2.weight', () => 0)),
    ['weights', 'warning', /^nothing but zeros in down_blocks\.0\.resnets\.0\.conv2\.weight — /],
  ],
  [
    'denormal numbers',
    'labelled',
    unet(set('conv_in.weight', (i, old) => (i % 4 === 0 ? 1e-40 : old))),
    ['weights', 'warning', /^numbers too small for their format, .* in conv_in\.weight — /],
  ],
  [
    'halves that may have overflowed',
    'labelled',
    (dir) =>
      editWeights(
        dir,
        'unet',
        set('conv_in.bias', () => 65504),
        'F16',
      ),
    ['weights', 'warning', /^numbers at the limit of half precision in conv_in\.bias — /],
  ],
  [
    'numbers beyond half precision',
    'labelled',
    unet(set('conv_in.bias', () => 70000)),
    ['weights', 'warning', /^numbers above 65504 in conv_in\.bias — /],
  ],
  [
    'no scheduler',
    'labelled',
    (dir) => rm(join(dir, 'scheduler'), { recursive: true }),
    ['scheduler', 'error', /^no scheduler — /],
    ['files', 'error', /^scheduler is listed, and its folder has no config — /],
  ],
  [
    'a scheduler that is none',
    'labelled',
    scheduler({ _class_name: 'WishScheduler' }),
    ['scheduler', 'error', /^scheduler 'WishScheduler' is unknown — /],
  ],
  [
    'a key that the scheduler ignores',
    'labelled',
    scheduler({ predicton_type: 'v_prediction' }),
    ['scheduler', 'warning', /^unknown key "predicton_type" — /],
  ],
  ['an impossible value', 'labelled', scheduler({ beta_start: 2 }), ['scheduler', 'error', /beta_start/]],
  [
    'another prediction than was trained',
    'labelled',
    recipe({ prediction_type: 'v_prediction', num_train_timesteps: 1000 }),
    ['scheduler', 'error', /^prediction_type is epsilon, the recipe in sumi\.json has v_prediction — /],
  ],
  [
    'other timesteps than were trained',
    'labelled',
    both(recipe({ num_train_timesteps: 1000 }), scheduler({ num_train_timesteps: 900 })),
    ['scheduler', 'error', /^num_train_timesteps is 900, the recipe in sumi\.json has 1000 — /],
  ],
  [
    'a sampler of sumi.json that is none',
    'labelled',
    json('sumi.json', (sumi) => {
      sumi.defaults = { steps: 3, scheduler: 'wish' };
    }),
    ['scheduler', 'error', /^scheduler 'wish' is unknown — /],
  ],
  [
    'timesteps that the network has not learned',
    'learned',
    scheduler({ num_train_timesteps: 2000 }),
    ['scheduler', 'error', /^timestep 1\d+ is none that a network with learned time embeddings knows — /],
    ['scheduler', 'warning', /^num_train_timesteps is 2000, the network has learned 1000 — /],
  ],
  [
    'zero SNR that is claimed and not there',
    'labelled',
    recipe({ rescale_betas_zero_snr: true }),
    ['scheduler', 'error', /^the last alpha is 0\.000040, and zero terminal SNR is claimed — /],
  ],
  [
    'zero SNR that cannot be',
    'labelled',
    scheduler({ rescale_betas_zero_snr: true, timestep_spacing: 'leading' }),
    ['scheduler', 'error', /^zero terminal SNR with a prediction of epsilon/],
    ['scheduler', 'warning', /^zero terminal SNR with timestep_spacing "leading"/],
  ],
  [
    'noise that ends early',
    'labelled',
    scheduler({ num_train_timesteps: 100 }),
    [
      'scheduler',
      'warning',
      /^the last alpha is 0\.\d+: sampling starts from noise that training never reached — /,
    ],
  ],
  [
    'a scaling factor of another autoencoder',
    'latent',
    json('vqvae/config.json', (config) => {
      config.scaling_factor = 500;
    }),
    [
      'autoencoder',
      'warning',
      /^scaled latents .* standard deviation of \S+, .* — .*check scaling_factor: about /,
    ],
  ],
  [
    'an autoencoder that overflows',
    'latent',
    both(
      (dir) =>
        editWeights(
          dir,
          'vqvae',
          set('encoder.conv_out.weight', (_, old) => old * 1e6),
        ),
      (dir) =>
        editWeights(
          dir,
          'vqvae',
          set('quant_conv.weight', () => 3e38),
        ),
    ),
    ['autoencoder', 'error', /^a picture encodes to NaN — /],
  ],
  [
    'a decoder that overflows',
    'latent',
    (dir) =>
      editWeights(
        dir,
        'vqvae',
        set('decoder.conv_out.weight', () => 3e38),
      ),
    ['autoencoder', 'error', /became NaN/],
  ],
  [
    'a network that overflows',
    'labelled',
    unet(set('conv_out.weight', () => 3e38)),
    ['network', 'error', /^the network predicts NaN of noise — /],
  ],
  [
    'predictions out of all proportion',
    'labelled',
    unet(set('conv_out.weight', (_, old) => old * 1e5)),
    [
      'network',
      'warning',
      /^predictions of noise have a standard deviation of \S+, where about 1 is usual — /,
    ],
  ],
  [
    'more labels than classes',
    'labelled',
    json('sumi.json', (sumi) => {
      sumi.labels = ['a', 'b', 'c', 'd', 'e'];
    }),
    ['labels', 'error', /^sumi\.json has 5 labels and null_label 3, the network 4 classes — /],
  ],
  [
    'two labels of one name',
    'labelled',
    json('sumi.json', (sumi) => {
      sumi.labels = ['ant', 'bee', 'ant'];
    }),
    ['labels', 'warning', /^two labels are called ant — /],
  ],
  [
    'labels without classes',
    'latent',
    (dir) => writeFile(join(dir, 'sumi.json'), '{"labels": ["ant"]}'),
    ['labels', 'warning', /^1 labels for a network without classes — /],
  ],
  [
    'a file that is no JSON',
    'labelled',
    (dir) => writeFile(join(dir, 'scheduler/scheduler_config.json'), '{'),
    ['files', 'error', /^not JSON .* — .*scheduler_config\.json — /],
  ],
];
