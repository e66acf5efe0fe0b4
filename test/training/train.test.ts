import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listStates, loadState, readPipelineDir } from '../../src/checkpoint/index.js';
import { makeStyleDataset } from '../../src/data/index.js';
import { InputError, RunError } from '../../src/errors.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import {
  override,
  parseTrainConfig,
  presetConfig,
  resumeTraining,
  type TrainConfig,
  train,
} from '../../src/training/index.js';

let folder: string;
let data: string;

function tiny(change: Partial<TrainConfig['diffusion']> = {}): TrainConfig {
  const config = parseTrainConfig(presetConfig('tiny'), 'test');
  const model = { ...config.diffusion.model, block_out_channels: [8, 16] };
  return {
    ...config,
    size: 8,
    sampling: { ...config.sampling, steps: 2 },
    diffusion: { ...config.diffusion, model, batch_size: 4, steps: 12, checkpoint_every: 100, ...change },
  };
}

/** A small latent model. */
function latent(): TrainConfig {
  const small = parseTrainConfig(presetConfig('small'), 'test');
  const settings = { batch_size: 4, steps: 4, checkpoint_every: 100 };
  const blocks = { block_out_channels: [8, 16], norm_num_groups: 4 };
  return parseTrainConfig(
    {
      size: 16,
      autoencoder: {
        ...settings,
        latent_noise: 0.1,
        model: {
          ...small.autoencoder?.model,
          ...blocks,
          down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
          up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
        },
      },
      diffusion: {
        ...settings,
        model: { ...tiny().diffusion.model, ...blocks },
      },
      sampling: { steps: 3 },
    },
    'test',
  );
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sumi-train-'));
  data = join(folder, 'shapes');
  await makeStyleDataset('shapes', { out: data, size: 16, count: 8, seed: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const linesOf = async (run: string): Promise<Record<string, number>[]> =>
  (await readFile(join(run, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

const newest = async (run: string) => {
  const [state] = await listStates(run);
  return loadState(state.dir);
};

async function expectSameState(a: string, b: string): Promise<void> {
  const [x, y] = [await newest(a), await newest(b)];
  expect(x.counters.step).toBe(y.counters.step);
  for (const name of ['params', 'm', 'v', 'ema']) {
    expect(Buffer.from(x.arrays[name].buffer).equals(Buffer.from(y.arrays[name].buffer)), name).toBe(true);
  }
}

describe('train', () => {
  it('lowers the loss and publishes a model that draws', async () => {
    const out = join(folder, 'lowers');
    const losses: number[] = [];
    const config = tiny({ steps: 60, batch_size: 16 });
    const result = await train({ data, out, config, onStep: ({ loss }) => losses.push(loss) });
    expect(losses.length).toBe(60);
    expect(losses[59]).toBeLessThan(0.7 * losses[3]);
    expect(result.labels).toEqual(['circle', 'square', 'star', 'triangle']);
    const lines = await linesOf(out);
    const trained = lines.filter(({ loss }) => loss !== undefined);
    expect(trained.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    // Four pictures a step, one in each quarter of the process.
    for (const line of trained)
      expect([1, 2, 3, 4].reduce((sum, k) => sum + Number(line[`mse_${k}`]) / 4, 0)).toBeCloseTo(
        Number(line.mse),
        4,
      );
    const names = ['sample_mean', 'sample_deviation', 'data_mean', 'data_deviation'];
    const numbers = Object.fromEntries(names.map((name) => [name, new Array(3).fill(expect.any(Number))]));
    expect(lines.filter(({ loss }) => loss === undefined)).toEqual([{ step: 60, ...numbers }]);
    expect(await readFile(join(out, 'loss.svg'), 'utf8')).toMatch(/^<svg .*<polyline points="\d/s);
    expect((await readPipelineDir(out)).unet.config.num_class_embeds).toBe(5);
    const pipeline = await DiffusionPipeline.fromPretrained(out);
    const [picture] = await pipeline.generate({ label: 'star', steps: 2 });
    expect(picture).toMatchObject({ width: 8, height: 8, label: 'star' });
    await pipeline.dispose();
  });

  it('goes on bit for bit after it was stopped', async () => {
    const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')];
    await train({ data, out: whole, config: tiny() });
    const controller = new AbortController();
    const stopped = await train({
      data,
      out: parts,
      config: tiny(),
      signal: controller.signal,
      onStep: ({ step }) => step === 5 && controller.abort(),
    });
    expect(stopped.interrupted).toBe(true);
    expect((await newest(parts)).counters.step).toBe(5);
    const resumed = await resumeTraining({ run: parts });
    expect(resumed.interrupted).toBe(false);
    await expectSameState(whole, parts);
    const lines = await linesOf(parts);
    const steps = lines.filter(({ loss }) => loss !== undefined).map(({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  });

  it('is the same by several small batches a step, but for rounding', async () => {
    const [one, several] = [join(folder, 'one'), join(folder, 'several')];
    // Adam's own epsilon makes whole steps of gradients that are nothing but rounding.
    const length = { steps: 3, adam_epsilon: 1e-3 };
    await train({ data, out: one, config: tiny(length) });
    const small = tiny({ ...length, batch_size: 1, gradient_accumulation_steps: 4 });
    await train({ data, out: several, config: small });
    const [a, b] = [await newest(one), await newest(several)];
    // The same run by what it sees: a state of either is one of both.
    expect(a.counters.fingerprint).toBe(b.counters.fingerprint);
    const farthest = Math.max(...a.arrays.ema.map((x, i) => Math.abs(x - b.arrays.ema[i])));
    expect(farthest).toBeLessThan(1e-4);
    expect(farthest).toBeGreaterThan(0);
    const [x, y] = [await linesOf(one), await linesOf(several)];
    for (const name of ['loss', 'gradNorm', 'mse', 'mse_1', 'mse_4']) {
      expect(y[0][name]).toBeCloseTo(x[0][name], 4);
      expect(y[2][name]).toBeCloseTo(x[2][name], 2);
    }
    const out = join(folder, 'device');
    await expect(train({ data, out, config: small, engine: 'cuda' })).rejects.toThrow(/not added up on the/);
    expect(await readdir(folder)).not.toContain('device');
  });

  it('measures what it publishes, when asked', async () => {
    const [plain, out] = [join(folder, 'unmeasured'), join(folder, 'measured')];
    const config = tiny({ steps: 5, checkpoint_every: 2 });
    await train({ data, out: plain, config });
    const notes: string[] = [];
    const onNote = (line: string) => notes.push(line);
    await train({ data, out, config, evalEvery: 4, onNote });
    const measured = async () => (await linesOf(out)).filter(({ kid }) => kid !== undefined);
    // Not at step 2, but at the end.
    expect(await measured()).toEqual(
      [4, 5].map((step) => ({
        step,
        kid: expect.any(Number),
        kid_standard_error: expect.any(Number),
        kid_pictures: 100,
        extractor: expect.stringMatching(/^efficientnet-lite0 [0-9a-f]{12}$/),
        memorised_share: expect.any(Number),
        // A hundred of 1 picture in 33.
        memorised_expected: 0.0303,
        memorised_probability: expect.any(Number),
      })),
    );
    const [{ kid, kid_standard_error: error }] = await measured();
    expect(kid).toBeGreaterThan(3 * error);
    expect(notes.filter((line) => /^step [45]: KID is .*efficientnet-lite0/.test(line))).toHaveLength(2);
    // Training is the same with it as without, and a run that goes on measures on.
    await expectSameState(plain, out);
    await resumeTraining({ run: out, steps: 8 });
    expect((await measured()).map(({ step }) => step)).toEqual([4, 5, 8]);
  });

  it('refuses measurements that cannot be made', async () => {
    const out = join(folder, 'unmeasurable');
    const config = tiny({ checkpoint_every: 4 });
    await expect(train({ data, out, config, evalEvery: 6 })).rejects.toThrow(
      /6 steps are no multiple of the 4 between checkpoints — --eval-every — give 8/,
    );
    const few = join(folder, 'few');
    await makeStyleDataset('shapes', { out: few, size: 16, count: 2, seed: 1 });
    await expect(train({ data: few, out, config, evalEvery: 4 })).rejects.toThrow(/too few pictures: 8 — /);
    expect(await readdir(folder)).not.toContain('unmeasurable');
  });

  it('goes on bit for bit from the last state after kill -9', async () => {
    const [whole, killed] = [join(folder, 'whole9'), join(folder, 'killed')];
    const config = tiny({ steps: 10, checkpoint_every: 4 });
    await train({ data, out: whole, config });
    const script = join(folder, 'child.mjs');
    await writeFile(
      script,
      `import { train } from ${JSON.stringify(pathToFileURL('src/training/index.ts').href)};
       const config = ${JSON.stringify(config)};
       await train({ data: ${JSON.stringify(data)}, out: ${JSON.stringify(killed)}, config, onStep: ({ step }) => { if (step === 6) process.kill(process.pid, 'SIGKILL'); } });`,
    );
    const code = await new Promise((resolve) =>
      spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'ignore', 'inherit'] }).on(
        'exit',
        (_, signal) => resolve(signal),
      ),
    );
    expect(code).toBe('SIGKILL');
    expect((await newest(killed)).counters.step).toBe(4);
    await resumeTraining({ run: killed });
    await expectSameState(whole, killed);
  });

  it('falls back to an older state when the newest is damaged, and says so', async () => {
    const out = join(folder, 'damaged');
    await train({ data, out, config: tiny({ checkpoint_every: 6 }) });
    const [state] = await listStates(out);
    const file = join(state.dir, 'state.safetensors');
    const bytes = await readFile(file);
    bytes[bytes.length - 5] ^= 1;
    await writeFile(file, bytes);
    const notes: string[] = [];
    const first: number[] = [];
    await resumeTraining({
      run: out,
      onNote: (line) => notes.push(line),
      onStep: ({ step }) => first.push(step),
    });
    expect(first[0]).toBe(7);
    expect(notes.join('\n')).toMatch(/skipped .*step-12: .*does not match its checksum/);
  });

  it('stops with a diagnosis when it diverges, and goes on with a lower learning rate', async () => {
    const out = join(folder, 'nan');
    const config = tiny({ learning_rate: 1e30, max_grad_norm: 0, lr_scheduler: 'constant' });
    const failure = await train({ data, out, config }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RunError);
    expect((failure as Error).message).toMatch(
      /not a number at step \d+ .* — .* — go on from the start, by --resume and a lower --lr/,
    );
    expect(await listStates(out)).toEqual([]);
    const mended = await resumeTraining({ run: out, learningRate: 1e-3 });
    expect(mended.stages[0]).toMatchObject({ step: 12, interrupted: false });
    expect((await newest(out)).arrays.params.every(Number.isFinite)).toBe(true);
  });

  it('trains an autoencoder and a model of its latents, in one go or by stage', async () => {
    const [once, staged] = [join(folder, 'latent'), join(folder, 'staged')];
    const config = latent();
    const result = await train({ data, out: once, config });
    expect(result.stages.map((s) => s.name)).toEqual(['autoencoder', 'diffusion']);
    const { autoencoder } = await readPipelineDir(once);
    expect(autoencoder?.config.scaling_factor).not.toBe(0.18215);
    await train({ data, out: staged, config, stage: 'autoencoder' });
    await resumeTraining({ run: staged, stage: 'diffusion' });
    await expectSameState(once, staged);
    const pipeline = await DiffusionPipeline.fromPretrained(once);
    const [picture] = await pipeline.generate();
    expect([picture.width, picture.height]).toEqual([16, 16]);
    await pipeline.dispose();
  });

  it('trains for about as long as it is told', async () => {
    const started = performance.now();
    const { stages } = await train({
      data,
      out: join(folder, 'minutes'),
      config: tiny({ steps: 1e6 }),
      minutes: 0.05,
    });
    expect(stages[0].step).toBe(stages[0].steps);
    expect(stages[0].step).toBeGreaterThan(6);
    expect((performance.now() - started) / 1000).toBeLessThan(30);
  });
});

describe('starting from another model', () => {
  it('takes its weights and its autoencoder, and refuses another network', async () => {
    const [first, second] = [join(folder, 'first'), join(folder, 'second')];
    const config = latent();
    await train({ data, out: first, config });
    const still = {
      ...config,
      diffusion: { ...config.diffusion, steps: 1, learning_rate: 1e-12, ema_decay: 0 },
    };
    const { stages } = await train({ data, out: second, config: still, initFrom: first });
    expect(stages.map((s) => s.name)).toEqual(['diffusion']);
    const before = (await newest(first)).arrays.ema;
    const after = (await newest(second)).arrays.params;
    expect(after.every((w, i) => Math.abs(w - before[i]) < 1e-6)).toBe(true);
    const wider = { ...config.diffusion.model, block_out_channels: [16, 16] };
    const other = { ...config, diffusion: { ...config.diffusion, model: wider } };
    const out = join(folder, 'wider');
    await expect(train({ data, out, config: other, initFrom: first })).rejects.toThrow(
      /network is not the one to be trained \(conv_in/,
    );
    await expect(readFile(join(out, 'config.json'))).rejects.toThrow();
  });
});

describe('bad input', () => {
  it('is refused before anything is written', async () => {
    const out = join(folder, 'refused');
    await expect(train({ data: join(folder, 'nowhere'), out, config: tiny() })).rejects.toThrow(InputError);
    await expect(readFile(join(out, 'config.json'))).rejects.toThrow();
    await expect(train({ data, out: folder, config: tiny() })).rejects.toThrow(
      /not empty — .* — go on with the run by --resume/,
    );
    for (const inside of [data, join(data, 'run')]) {
      await expect(train({ data, out: inside, config: tiny() })).rejects.toThrow(
        /the run would lie among its own pictures — .* — name an --out outside/,
      );
    }
    await expect(train({ data, out, config: tiny(), stage: 'autoencoder' })).rejects.toThrow(
      /no autoencoder/,
    );
    await expect(resumeTraining({ run: data })).rejects.toThrow(InputError);
  });

  it('is refused in configurations, by key', () => {
    const bad = (value: unknown) => () => parseTrainConfig(value, 'x.json');
    expect(bad({ ...presetConfig('tiny'), colour: 1 })).toThrow(/colour.* — x\.json — /);
    expect(bad({ ...presetConfig('tiny'), size: 17 })).toThrow(/size 17 is not a multiple of 2/);
    expect(bad({ ...presetConfig('tiny'), seed: -1 })).toThrow(/^seed: /);
    expect(() => presetConfig('huge')).toThrow(
      /preset huge is unknown — --preset — use tiny, light, small, base/,
    );
    expect(() => presetConfig('constructor')).toThrow(InputError);
  });

  it('refuses to go on with other pictures', async () => {
    const [other, out] = [join(folder, 'other'), join(folder, 'moved')];
    await makeStyleDataset('shapes', { out: other, size: 16, count: 8, seed: 2 });
    await train({ data, out, config: tiny({ steps: 1 }) });
    await expect(resumeTraining({ run: out, data: other })).rejects.toThrow(
      /not those that the run began with/,
    );
  });

  it('puts overrides on the stage that is trained last', () => {
    const config = latent();
    expect(override(config, 'all', 7, 0.5, 3, 2).diffusion).toMatchObject({
      steps: 7,
      learning_rate: 0.5,
      batch_size: 3,
      gradient_accumulation_steps: 2,
    });
    expect(override(config, 'autoencoder', 7).autoencoder?.steps).toBe(7);
    expect(override(config, 'autoencoder', 7).diffusion.steps).toBe(4);
  });
});
