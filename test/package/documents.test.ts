/** The documents say what is so: links lead somewhere, names of the library, options and settings exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Argv, CommandModule } from 'yargs';
import yargs from 'yargs';
import { commands } from '../../scripts/cli/commands.js';
import { configOf } from '../../scripts/cli/train-settings.js';
import * as sumi from '../../src/index.js';

const root = path.resolve(import.meta.dirname, '../..');
const files = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.join('docs', name)),
];
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

/** GitHub's name of a heading's anchor. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replace(/ /g, '-');

describe.each(files)('%s', (file) => {
  const text = read(file);
  const shell = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, code]) => code.split('\n'));

  it('links to what exists', () => {
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [name, fragment] = target.split('#');
      const to = path.join(root, path.dirname(file), name);
      expect(existsSync(name ? to : path.join(root, file)), target).toBe(true);
      if (!fragment) continue;
      const headings = [...readFileSync(name ? to : path.join(root, file), 'utf8').matchAll(/^#+ (.+)$/gm)];
      expect(headings.map(([, heading]) => anchor(heading))).toContain(fragment);
    }
  });

  it('imports what the library exports', () => {
    for (const [, names] of text.matchAll(/import \{([^}]+)\} from 'sumi'/g)) {
      for (const name of names.split(',').map((n) => n.trim())) expect(Object.keys(sumi)).toContain(name);
    }
  });

  it('shows commands that the command line accepts', async () => {
    const lines = shell.filter((line) => /^(npx )?sumi /.test(line));
    for (const line of lines) {
      const words = line
        .replace(/^(npx )?sumi /, '')
        .replace(/\s+#.*$/, '')
        .trim()
        .split(/\s+/);
      await parse(words);
    }
  });
});

/** Parses as `sumi` does, strictly, and runs nothing. */
async function parse(words: readonly string[]): Promise<void> {
  const parser = yargs([...words])
    .strict()
    .demandCommand(1)
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new Error(`${message}: sumi ${words.join(' ')}`);
    });
  for (const command of commands) {
    const idle = { ...command, handler: () => {} };
    // A command of commands: these do nothing either.
    if ('actions' in command) {
      const builder = (own: Argv) => {
        for (const action of (command as { actions: CommandModule<object, never>[] }).actions)
          own.command({ ...action, handler: () => {} } as CommandModule<object, never>);
        return own.demandCommand(1);
      };
      Object.assign(idle, { builder });
    }
    parser.command(idle as CommandModule<object, never>);
  }
  await parser.parseAsync();
}

it('an option that does not exist would be noticed', async () => {
  await expect(parse(['generate', '--colour'])).rejects.toThrow(/colour/i);
  await expect(parse(['segment', 'predict', '--hue'])).rejects.toThrow(/hue|model/i);
});

describe('docs/cli.md', () => {
  const text = read('docs/cli.md');

  it.each(commands.map((command) => String(command.command).split(' ')[0]))('has %s', (name) => {
    expect(text).toContain(`\`sumi ${name}\``);
  });

  it('names options of their commands', async () => {
    for (const [, name, rest] of text.matchAll(/^\| `sumi (\w+)` \|(.*)$/gm)) {
      const command = commands.find((c) => String(c.command).split(' ')[0] === name);
      if (!command) throw new Error(`docs/cli.md has sumi ${name}, which is no command`);
      const parser = yargs([]);
      (command.builder as (y: typeof parser) => unknown)(parser);
      // getOptions is public in yargs but missing in its types.
      const { key } = (parser as unknown as { getOptions(): { key: Record<string, boolean> } }).getOptions();
      for (const [, option] of rest.matchAll(/--([a-z][\w-]*)/g)) {
        expect(Object.keys(key), `${name} --${option}`).toContain(option);
      }
    }
  });
});

describe('docs/training.md', () => {
  /** The keys in the first column of a section's table. */
  const keysIn = (section: string): Set<string> => {
    const text = read('docs/training.md').split(`\n## ${section}\n`)[1].split('\n## ')[0];
    const cells = [...text.matchAll(/^\| (`.+?) \|/gm)].map(([, cell]) => cell);
    const keys = cells.flatMap((cell) => [...cell.matchAll(/`([\w.]+)`/g)].map(([, key]) => key));
    return new Set(keys.flatMap((key) => key.split('.')));
  };
  const preset = sumi.parseTrainConfig(sumi.presetConfig('small'), 'test');

  it('has every setting of a run and no other', () => {
    const settings = new Set([
      ...Object.keys(preset),
      ...Object.keys(preset.diffusion),
      ...Object.keys(preset.autoencoder ?? {}),
      ...Object.keys(preset.sampling),
    ]);
    settings.delete('preset');
    expect([...keysIn('Settings')].sort()).toEqual([...settings].sort());
  });

  it.each([
    // What its batches are made of is told anew.
    ['Few steps', sumi.parseDistillConfig({}, 'test'), ['batch_size']],
    ['A second stage', sumi.parseRefineConfig({}, 'test'), ['model', 'held_back']],
  ] as const)('has every setting of "%s" beside those of every stage', (section, config, repeated) => {
    const shared = new Set([...Object.keys(preset.diffusion), 'seed']);
    const own = Object.keys(config).filter((key) => !shared.has(key));
    expect([...keysIn(section)].sort()).toEqual([...own, ...repeated].sort());
  });
});

describe('docs/segmentation.md', () => {
  it('has every setting of a run and no other', () => {
    const text = read('docs/segmentation.md').split('## Settings')[1].split('\n## ')[0];
    const cells = [...text.matchAll(/^\| (`.+?) \|/gm)].flatMap(([, cell]) => [
      ...cell.matchAll(/`([\w.]+)`/g),
    ]);
    const documented = cells.map(([, key]) => key).sort();
    const settings = sumi.parseSegmentConfig({}, 'test') as unknown as Record<string, unknown>;
    const keys = Object.entries(settings).flatMap(([key, value]) =>
      value !== null && typeof value === 'object'
        ? Object.keys(value).map((inner) => `${key}.${inner}`)
        : [key],
    );
    expect(documented).toEqual(keys.sort());
  });
});

describe('recipes', () => {
  it.each(readdirSync(path.join(root, 'recipes')))('%s is a configuration', async (file) => {
    const config = path.join('recipes', file);
    if (file.includes('-fast') || file.includes('-refiner')) {
      const parse = file.includes('-fast') ? sumi.parseDistillConfig : sumi.parseRefineConfig;
      expect(() => parse(JSON.parse(read(config)), file)).not.toThrow();
      return;
    }
    // As the model card names it: over nothing, or over a model's.
    const of = file.includes('-decoder') ? { init: 'characters', stage: 'decoder' as const } : {};
    await expect(configOf({ ...of, config: path.join(root, config) })).resolves.toMatchObject({ size: 64 });
  });
});
