/**
 * Emoji by several makers, from Iconify's packages of open icon sets: smileys, animals and food, each on a soft
 * background. The label is the maker's style. Share-alike sets (OpenMoji) are left out, so that what is trained
 * on the data may be shared under any licence.
 */
import { z } from 'zod';
import { InputError } from '../../errors.js';
import { Random } from '../../random.js';
import { missingPackages, requirePackageFile } from './packages.js';
import { BACKGROUNDS, type Licence, type StyleCollection, type StyleSource } from './source.js';

/** Label → package. */
const SETS: Record<string, string> = {
  fluent: '@iconify-json/fluent-emoji-flat',
  fxemoji: '@iconify-json/fxemoji',
  noto: '@iconify-json/noto',
  twemoji: '@iconify-json/twemoji',
};

/** People and flags are mostly variations of one another, symbols mostly letters. */
const CATEGORIES = /smiley|animal|nature|food/i;

/** The parts of Iconify's format (https://iconify.design/docs/types/iconify-json.html) that are used here. */
const Icons = z.object({
  width: z.number().default(16),
  height: z.number().default(16),
  icons: z.record(
    z.string(),
    z.object({
      body: z.string(),
      width: z.number().optional(),
      height: z.number().optional(),
      hidden: z.boolean().optional(),
    }),
  ),
});
const Info = z.object({
  name: z.string(),
  version: z.string().optional(),
  author: z.object({ name: z.string(), url: z.string().optional() }),
  license: z.object({ title: z.string(), spdx: z.string().optional(), url: z.string().optional() }),
});
const Metadata = z.object({ categories: z.record(z.string(), z.array(z.string())) });
const Manifest = z.object({ version: z.string() });

/** @param from folders to look for the packages from, instead of Sumi's and the working one */
export function loadEmoji(labels: readonly string[], from?: readonly string[]): StyleSource[] {
  const missing = labels.map((label) => SETS[label]).filter((name) => !file(name, 'info.json', from));
  if (missing.length > 0) throw missingPackages('emoji', missing);
  return labels.map((label) => loadSet(label, SETS[label], from));
}

const file = (name: string, path: string, from?: readonly string[]) =>
  requirePackageFile(`${name}/${path}`, from);

function loadSet(label: string, name: string, from?: readonly string[]): StyleSource {
  const read = <T>(path: string, schema: z.ZodType<T>): T => {
    const parsed = schema.safeParse(file(name, path, from));
    if (!parsed.success)
      throw new InputError(
        `${path} is not in the form expected — ${name} — run: npm install ${name}@1 (${parsed.error.issues[0].path.join('.')})`,
      );
    return parsed.data;
  };
  const { icons, width, height } = read('icons.json', Icons);
  const info = read('info.json', Info);
  const names = Object.entries(read('metadata.json', Metadata).categories)
    .filter(([category]) => CATEGORIES.test(category))
    .flatMap(([, members]) => members)
    .filter((icon) => icons[icon] && !icons[icon].hidden);
  const chosen = [...new Set(names)].sort();
  if (chosen.length === 0)
    throw new InputError(`no smileys, animals or food — ${name} — run: npm install ${name}@1`);
  const about: Licence = {
    title: info.name,
    creator: info.author.name,
    source: info.author.url ?? `npm package ${name}`,
    licence: { name: info.license.title, url: info.license.url ?? '' },
    package: { name, version: read('package.json', Manifest).version },
  };
  return {
    label,
    about,
    svg(seed, index) {
      // Every emoji once before any comes again, on another background.
      const round = Math.floor(index / chosen.length);
      const order = orderOf(seed, label, chosen.length);
      const icon = icons[chosen[order[index % chosen.length]]];
      const shade = new Random(seed, 'emoji', label, index % chosen.length).int(BACKGROUNDS.length);
      const ground = BACKGROUNDS[(shade + round) % BACKGROUNDS.length];
      const box = `0 0 ${icon.width ?? width} ${icon.height ?? height}`;
      return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 64 64" width="64" height="64"><rect width="64" height="64" fill="#${ground}"/><svg x="6" y="6" width="52" height="52" viewBox="${box}">${icon.body}</svg></svg>`;
    },
  };
}

const orders = new Map<string, Uint32Array>();

function orderOf(seed: number, label: string, count: number): Uint32Array {
  const key = `${seed}/${label}/${count}`;
  let order = orders.get(key);
  if (!order) {
    order = new Random(seed, 'emoji', label).permutation(count);
    orders.set(key, order);
  }
  return order;
}

export const emoji: StyleCollection = {
  name: 'emoji',
  summary: 'smileys, animals and food as four makers draw them (MIT, Apache 2.0, CC BY 4.0)',
  labels: Object.keys(SETS),
  defaultCount: 400,
  load: async (labels) => loadEmoji(labels),
};
