/** `sumi doctor` on the command line, and what it says of a machine. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../scripts/cli/commands.js';
import { machineText } from '../../scripts/cli/doctor.js';
import { main } from '../../scripts/cli/main.js';
import { examineMachine } from '../../src/doctor/index.js';
import { featuresOf } from '../../src/doctor/machine.js';
import { engines } from '../../src/index.js';
import { capture } from '../cli/capture.js';
import { labelled, temporaryFolder, writeTiny } from '../pipelines/tiny.js';
import { editWeights, set } from './broken.js';

const at = temporaryFolder();
const sumi = (...argv: string[]) => capture(() => main(argv, commands));

beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await editWeights(
    at('model'),
    'unet',
    set('conv_out.weight', () => 0),
  );
  await writeFile(at('model', 'unet', 'model.pt'), 'x');
}, 600_000);

describe('sumi doctor MODEL', () => {
  it('says nothing wrong of the shipped model', async () => {
    const { value, stdout, stderr } = await sumi('doctor', 'characters', '--threads', '1');
    expect([value, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/characters: draws, nothing wrong\n {2}scaled latents ±\S+, prediction ±\S+\n$/);
  });

  it('groups what it found, and fails for what is serious', async () => {
    const { value, stdout, stderr } = await sumi('doctor', at('model'), '--threads', '1');
    expect(value).toBe(1);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/model: would not draw as it should, 1 error, [12] warnings?$/);
    const groups = lines.filter((line) => !line.startsWith(' ')).slice(1);
    expect(groups.slice(0, 2)).toEqual(['files', 'weights']);
    expect(stdout).toMatch(/^weights\n {2}error {4}nothing but zeros in conv_out\.weight/m);
    expect(stdout).toMatch(/^files\n {2}warning {2}pickles/m);
    expect(stderr).toMatch(/^sumi: 1 error, [12] warnings? — .*model — mend what is listed\n$/);
  });

  it('prints JSON', async () => {
    const { value, stdout } = await sumi('doctor', at('model'), '--json', '--threads', '1');
    expect(value).toBe(1);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ model: at('model'), path: at('model'), draws: false });
    expect(report.findings[0]).toEqual({
      area: 'files',
      severity: 'warning',
      message: expect.stringContaining('model.pt'),
    });
  });

  it.each([
    [['nothing-here'], /^sumi: no model nothing-here — /],
    [['characters', 'more'], /^sumi: unknown argument more — sumi doctor — /],
    [['characters', '--threads', '0'], /^sumi: 0 is not possible — --threads — /],
    [['characters', '--fix'], /^sumi: unknown option --fix — /],
  ])('refuses %j', async (argv, message) => {
    const { value, stdout, stderr } = await sumi('doctor', ...argv);
    expect([value, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });
});

describe('sumi doctor', () => {
  it('tells what runs here, and why the rest does not', async () => {
    const { value, stdout } = await sumi('doctor', '--json');
    expect(value).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ node: process.version, ready: true, disk: { folder: process.cwd() } });
    expect(report.engines.map((e: { engine: string }) => e.engine)).toEqual([...engines]);
    for (const { engine, runs, reason } of report.engines) {
      expect(runs, engine).toBe(reason === null);
      if (!runs) expect(reason, engine).toMatch(/install|use --engine/);
    }
    const running = report.engines.filter((e: { runs: boolean }) => e.runs);
    expect(running.map((e: { engine: string }) => e.engine)).toEqual(
      expect.arrayContaining(['onnx', 'wasm', 'cpu']),
    );
    expect(report.versions['onnxruntime-node']).toMatch(/^\d+\.\d+\.\d+/);
    expect(report.versions.sharp).toMatch(/^\d+\./);
    expect(report.versions['@tensorflow/tfjs']).toMatch(/^4\./);
    expect(report.cpu.threads).toBeGreaterThan(0);
    expect(report.memory.available).toBeGreaterThan(0);
    expect(report.disk.free).toBeGreaterThan(0);
  });

  it('says it in text', async () => {
    const report = await examineMachine({ only: ['cpu', 'tensorflow'] });
    const text = machineText({ sumi: '1.2.3', ...report });
    expect(text).toMatch(/^sumi +1\.2\.3\nnode +v/);
    expect(text).toMatch(
      /\nengines\n {2}cpu +runs\n {2}tensorflow +neither .*npm i @tensorflow\/tfjs-node-gpu/,
    );
  });

  it('knows the folder that it is asked about', async () => {
    await mkdir(at('here'));
    expect((await examineMachine({ folder: at('here'), only: [] })).disk.folder).toBe(join(at('here')));
  });

  it('reads the features of CPUs', () => {
    expect(
      featuresOf('processor : 0\nflags\t\t: fpu sse4_2 avx2 fma nonsense amx_bf16\nflags : x\n'),
    ).toEqual(['sse4_2', 'avx2', 'fma', 'amx_bf16']);
    expect(featuresOf('Features\t: fp asimd bf16 crc32\n')).toEqual(['asimd', 'bf16']);
    expect(featuresOf('')).toEqual([]);
  });
});
