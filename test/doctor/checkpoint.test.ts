/** `sumi doctor MODEL`: a broken checkpoint for each thing that it finds. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CheckpointExamination, examineCheckpoint } from '../../src/doctor/index.js';
import { labelled, latent, type TinyModel, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { copied, editJson } from './broken.js';
import { cases } from './cases.js';

const at = temporaryFolder();
const bases: Record<string, TinyModel> = {
  labelled,
  latent,
  learned: {
    unet: { time_embedding_type: 'learned', num_train_timesteps: 1000 },
    sumi: { defaults: { steps: 4 } },
  },
};
const sound = new Map<string, CheckpointExamination>();
const examine = (dir: string) => examineCheckpoint(dir, { threads: 1 });

beforeAll(async () => {
  for (const [name, model] of Object.entries(bases)) {
    await writeTiny(at(name), model);
    if (model.autoencoder) {
      const spread = (await examine(at(name))).measured.scaledLatents as number;
      await editJson(at(name), 'vqvae/config.json', (config) => {
        config.scaling_factor = (config.scaling_factor as number) / spread;
      });
    }
    sound.set(name, await examine(at(name)));
  }
}, 600_000);

describe('sumi doctor finds', () => {
  it.each(cases)('%s', async (what, base, breaks, ...expected) => {
    const dir = await copied(at(base), at(what));
    await breaks(dir);
    const { draws, findings } = await examine(dir);
    for (const [area, severity, message] of expected) {
      expect(findings).toContainEqual({ area, severity, message: expect.stringMatching(message) });
      for (const before of sound.get(base)?.findings ?? []) expect(before.message).not.toMatch(message);
    }
    expect(draws).toBe(findings.every((f) => f.severity === 'warning'));
    for (const { message } of findings) {
      expect(message.split(' — ').length, message).toBeGreaterThanOrEqual(3);
      expect(message).not.toContain('\n');
    }
  });

  it('channels that do not meet', async () => {
    const dir = await writeTiny(at('channels'), { ...latent, unet: { sample_size: 8 } });
    expect((await examine(dir)).findings).toContainEqual({
      area: 'config',
      severity: 'error',
      message: expect.stringMatching(/^the UNet works on 3 channels, the autoencoder on 4 — /),
    });
  });

  it('timesteps that Fourier features do not know', async () => {
    const model: TinyModel = { unet: { time_embedding_type: 'fourier' }, sumi: { defaults: { steps: 4 } } };
    const { findings } = await examine(await writeTiny(at('fourier'), model));
    expect(findings.map((f) => f.message).join('\n')).toMatch(/timestep 0 is none that .* fourier/);
  });

  it('a folder that is no checkpoint', async () => {
    await mkdir(at('empty'));
    expect(await examine(at('empty'))).toMatchObject({
      draws: false,
      findings: [{ area: 'files', severity: 'error', message: expect.stringMatching(/^no checkpoint: /) }],
    });
  });
});

describe('sumi doctor leaves alone', () => {
  it('the shipped model', async () => {
    const { draws, findings, measured } = await examine('characters');
    expect(findings).toEqual([]);
    expect(draws).toBe(true);
    expect(measured.scaledLatents).toBeGreaterThan(0.3);
    expect(measured.scaledLatents).toBeLessThan(3);
    expect(measured.prediction).toBeGreaterThan(0.1);
  });

  it('what is sound', () => {
    for (const { draws, findings } of sound.values()) {
      expect(findings).toEqual([]);
      expect(draws).toBe(true);
    }
    expect(sound.get('latent')?.measured.scaledLatents).toBeCloseTo(1, 4);
  });

  it('what is being written at this moment', async () => {
    const dir = await copied(at('labelled'), at('busy'));
    const host = (await import('node:os')).hostname().replaceAll(/[^\w.]/g, '');
    await mkdir(join(dir, `.x.tmp-${host}-${process.pid}-deadbeef`));
    expect((await examine(dir)).findings).toEqual([]);
  });

  it('a run, whose model it examines', async () => {
    await mkdir(at('run'));
    await writeFile(at('run', 'config.json'), '{}');
    await rename(await copied(at('labelled'), at('moved')), at('run', 'model'));
    const { path, draws } = await examine(at('run'));
    expect([path, draws]).toEqual([at('run', 'model'), true]);
  });
});
