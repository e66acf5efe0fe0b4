/** The documents say what is so: links lead somewhere, names of the library, options and settings exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Argv, CommandModule } from 'yargs';
import yargs from 'yargs';
import { commands } from '../../scripts/cli/commands.js';
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
  const rows = [...read('docs/training.md').matchAll(/^\| (`.+?) \|/gm)].map(([, cell]) => cell);
  const keys = rows.flatMap((cell) => [...cell.matchAll(/`([\w.]+)`/g)].map(([, key]) => key));
  const preset = sumi.parseTrainConfig(sumi.presetConfig('small'), 'test');

  it('has every setting of a run and no other', () => {
    const documented = new Set(keys.flatMap((key) => key.split('.')));
    const settings = new Set([
      ...Object.keys(preset),
      ...Object.keys(preset.diffusion),
      ...Object.keys(preset.autoencoder ?? {}),
      ...Object.keys(preset.sampling),
    ]);
    for (const name of ['tiny', 'small', 'base']) documented.delete(name);
    settings.delete('preset');
    expect([...documented].sort()).toEqual([...settings].sort());
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
  it.each(readdirSync(path.join(root, 'recipes')))('%s is a configuration', (file) => {
    expect(() => sumi.parseTrainConfig(JSON.parse(read(path.join('recipes', file))), file)).not.toThrow();
  });
});
