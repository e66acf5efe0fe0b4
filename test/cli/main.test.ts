import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CommandModule } from 'yargs';
import { commands } from '../../scripts/cli/commands.js';
import { main } from '../../scripts/cli/main.js';
import { fillBare } from '../../scripts/cli/values.js';
import { InputError, RunError } from '../../src/errors.js';
import { capture } from './capture.js';

interface Args {
  steps: number;
  scheduler: string;
  fail?: string;
}

let seen: Args | undefined;

const draw: CommandModule<object, Args> = {
  command: 'draw <what>',
  describe: 'Draw something',
  builder: (yargs) =>
    yargs
      .positional('what', { type: 'string', demandOption: true, describe: 'What to draw' })
      .option('steps', { type: 'number', default: 5, describe: 'Steps' })
      .option('scheduler', { choices: ['ddpm', 'ddim'], default: 'ddim', describe: 'Scheduler' })
      .option('flag', { type: 'boolean', default: false, describe: 'A flag' })
      .option('fail', { type: 'string', describe: 'How to fail' }) as never,
  handler: async (args) => {
    seen = args;
    await Promise.resolve();
    if (args.fail === 'input') throw new InputError('bad picture — x.png — use another');
    if (args.fail === 'run') throw new RunError('out of memory — step 3 — use a smaller batch');
    if (args.fail === 'bug') throw new TypeError('x is not\na function');
    if (args.fail === 'disk') throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', path: '/full' });
  },
};
const table = [draw as CommandModule<object, never>];
const run = (...argv: string[]) => capture(() => main(argv, table));

afterEach(() => {
  seen = undefined;
  delete process.env.SUMI_DEBUG;
});

describe('sumi', () => {
  it('prints its version and its help to stdout', async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    expect(await run('--version')).toEqual({ value: 0, stdout: `${version}\n`, stderr: '' });
    const help = await run('--help');
    expect(help).toMatchObject({ value: 0, stderr: '' });
    expect(help.stdout).toMatch(/sumi draw <what>\s+Draw something/);
    expect((await run('draw', '--help')).stdout).toMatch(/--steps\s+Steps/);
  });

  it('hands options to the command', async () => {
    expect(await run('draw', 'a cat', '--steps', '7')).toEqual({ value: 0, stdout: '', stderr: '' });
    expect(seen).toMatchObject({ what: 'a cat', steps: 7, scheduler: 'ddim' });
  });

  it('takes negative numbers, --no-flag and --flag=true', async () => {
    expect(await run('draw', 'x', '--steps', '-3', '--flag=true', '--fail', '-5')).toMatchObject({
      value: 0,
    });
    expect(seen).toMatchObject({ steps: -3, flag: true, fail: '-5' });
    expect(await run('draw', 'x', '--no-flag')).toMatchObject({ value: 0 });
  });

  it('fills in what an option without a value means, up to a --', () => {
    const fill = (...words: string[]) => fillBare(words, new Map([['fast', 3]]));
    expect(fill('draw', '--fast')).toEqual(['draw', '--fast=3']);
    expect(fill('--fast', '--steps', '5')).toEqual(['--fast=3', '--steps', '5']);
    expect(fill('--fast', '2')).toEqual(['--fast', '2']);
    expect(fill('--fast', '-2')).toEqual(['--fast', '-2']);
    expect(fill('--fast=', '--fast=4', 'fast')).toEqual(['--fast=', '--fast=4', 'fast']);
    expect(fill('--fast', '--', '--fast')).toEqual(['--fast=3', '--', '--fast']);
    expect(fill('--constructor')).toEqual(['--constructor']);
  });

  it('keeps a positional that looks like a number as it was typed', async () => {
    await run('draw', '007');
    expect(seen).toMatchObject({ what: '007' });
  });

  it.each([
    [[], 'no command given — sumi — choose from draw; see `sumi --help`'],
    [['drwa'], 'unknown command drwa — sumi — choose from draw'],
    [['drow'], 'unknown command drow — sumi — did you mean draw?'],
    [['--bogus'], 'unknown option --bogus — sumi — see `sumi --help`'],
    [['draw'], 'too few arguments — sumi draw — it is `sumi draw <what>`; see `sumi draw --help`'],
    [['draw', 'x', '--stepz', '3'], 'unknown option --stepz — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '-z', 'y'], 'unknown option -z — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', 'y'], 'unknown argument y — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--fast'], 'unknown option --fast — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--a', '--b'], 'unknown option --a, option --b — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--steps', 'ten'], '--steps needs a number — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--steps'], 'no value for --steps — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--steps', '--flag'], 'no value for --steps — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--steps='], 'no value for --steps — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--no-steps'], 'there is no option --no-steps — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--fail'], 'no value for --fail — sumi draw — see `sumi draw --help`'],
    [['draw', 'x', '--flag=maybe'], '--flag takes no value — sumi draw — see `sumi draw --help`'],
    [
      ['draw', 'x', '--scheduler', 'euler'],
      'not one of its choices: --scheduler "euler" (choose from "ddpm", "ddim") — sumi draw — see `sumi draw --help`',
    ],
  ])('refuses %j in one line', async (argv, line) => {
    expect(await run(...argv)).toEqual({ value: 2, stdout: '', stderr: `sumi: ${line}\n` });
    expect(seen).toBeUndefined();
  });

  it('gives every failure its exit code and one line', async () => {
    expect(await run('draw', 'x', '--fail', 'input')).toEqual({
      value: 2,
      stdout: '',
      stderr: 'sumi: bad picture — x.png — use another\n',
    });
    expect(await run('draw', 'x', '--fail', 'run')).toMatchObject({
      value: 1,
      stderr: 'sumi: out of memory — step 3 — use a smaller batch\n',
    });
    expect(await run('draw', 'x', '--fail', 'disk')).toMatchObject({
      value: 1,
      stderr: 'sumi: the disk is full — /full — free some space and try again\n',
    });
    const bug = await run('draw', 'x', '--fail', 'bug');
    expect(bug.value).toBe(1);
    expect(bug.stderr).toMatch(/^sumi: x is not a function — internal — [^\n]*SUMI_DEBUG[^\n]*\n$/);
    process.env.SUMI_DEBUG = '1';
    expect((await run('draw', 'x', '--fail', 'bug')).stderr).toMatch(/\n\s+at .*handler/);
  });
});

describe('the real commands', () => {
  it('all appear in the help, each with a description', async () => {
    const { stdout } = await capture(() => main(['--help'], commands));
    for (const { command, describe } of commands) {
      expect(stdout).toContain(`sumi ${String(command).split(' ')[0]}`);
      expect(describe).toBeTruthy();
    }
  });

  it('describe every option', async () => {
    for (const { command } of commands) {
      const { value, stdout } = await capture(() =>
        main([String(command).split(' ')[0], '--help'], commands),
      );
      expect(value).toBe(0);
      for (const line of stdout.split('\n').filter((l) => /^\s+(-\w, )?--/.test(l))) {
        expect(line).toMatch(/--[\w-]+\s+\w/);
      }
    }
  });
});
