/**
 * Characters from DiceBear's avatar styles (https://www.dicebear.com): drawings by several artists, all under
 * CC0 1.0 or CC BY 4.0. Chosen for being told apart at a glance when 64 pixels wide; styles whose licence is
 * "free for personal and commercial use" (avataaars, bottts) are left out, as that is no open licence.
 */
import { createHash } from 'node:crypto';
import type { Style, StyleMeta, StyleOptions } from '@dicebear/core';
import { InputError } from '../../errors.js';
import { Random } from '../../random.js';
import { missingPackages, versionOf } from './packages.js';
import { BACKGROUNDS, type Licence, type StyleCollection, type StyleSource } from './source.js';

type Options = StyleOptions<Record<string, unknown>>;
type AnyStyle = Style<Record<string, unknown>>;

interface Character {
  /** Its name in @dicebear/collection. */
  readonly key: string;
  readonly options?: Options;
  /** The drawing fills its square: it is cut to a disc and put on a soft background. */
  readonly disc?: boolean;
}

const CHARACTERS: Record<string, Character> = {
  adventurer: { key: 'adventurer' },
  dylan: { key: 'dylan' },
  emoji: {
    key: 'funEmoji',
    disc: true,
    options: { backgroundColor: ['fcbc34', 'ff7f6e', 'd9915b', 'f58ac0', '3fb4f5', '71cf62', 'b58cf0'] },
  },
  lorelei: { key: 'lorelei' },
  micah: { key: 'micah' },
  miniavs: { key: 'miniavs' },
  'pixel-art': { key: 'pixelArt' },
  thumbs: {
    key: 'thumbs',
    options: { shapeColor: ['0a5b83', '1c799f', '69d2e7', 'f88c49', 'e5566d', '5aa65a', '7d5bbe'] },
  },
};

const PACKAGES = ['@dicebear/core', '@dicebear/collection'];

async function load(labels: readonly string[]): Promise<StyleSource[]> {
  const modules = await Promise.all([import('@dicebear/core'), import('@dicebear/collection')]).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_MODULE_NOT_FOUND')
        throw missingPackages(
          'characters',
          PACKAGES.map((name) => `${name}@9`),
        );
      throw error;
    },
  );
  const [{ createAvatar }, collection] = modules;
  const version = versionOf('@dicebear/collection');
  return labels.map((label) => {
    const { key, options, disc } = CHARACTERS[label];
    const style = (collection as unknown as Record<string, AnyStyle | undefined>)[key];
    if (!style)
      throw new InputError(
        `@dicebear/collection ${version} has no style ${key} — sumi dataset characters — run: npm install @dicebear/collection@9`,
      );
    return {
      label,
      about: licenceOf(style.meta ?? {}, version),
      svg(seed, index) {
        const avatar = createAvatar(style, {
          backgroundColor: [...BACKGROUNDS],
          ...options,
          seed: mixed(`${seed}/${label}/${index}`),
          size: 64,
        }).toString();
        if (!disc) return avatar;
        const ground = new Random(seed, 'background', label, index).int(BACKGROUNDS.length);
        return onDisc(avatar, BACKGROUNDS[ground]);
      },
    };
  });
}

/** DiceBear's own hash gives seeds that differ in a digit drawings that differ little: SHA-256 sets them apart. */
const mixed = (seed: string) => createHash('sha256').update(seed).digest('hex').slice(0, 24);

/** Puts a drawing, cut to a disc, in the middle of a plain square. */
function onDisc(svg: string, background: string): string {
  const inner = svg.replace(
    /<svg([^>]*?) width="64" height="64"/,
    '<svg$1 x="5" y="5" width="54" height="54"',
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64"><clipPath id="sumi-disc"><circle cx="32" cy="32" r="27"/></clipPath><rect width="64" height="64" fill="#${background}"/><g clip-path="url(#sumi-disc)">${inner}</g></svg>`;
}

function licenceOf(meta: StyleMeta, version: string): Licence {
  return {
    title: meta.title ?? 'unknown',
    creator: meta.creator ?? 'unknown',
    source: meta.source ?? meta.homepage ?? 'https://www.dicebear.com',
    licence: { name: meta.license?.name ?? 'unknown', url: meta.license?.url ?? '' },
    package: { name: '@dicebear/collection', version },
  };
}

export const characters: StyleCollection = {
  name: 'characters',
  summary: 'faces in the styles of several artists, from DiceBear (CC0 and CC BY 4.0)',
  labels: Object.keys(CHARACTERS),
  defaultCount: 1500,
  load,
};
