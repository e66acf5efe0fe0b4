/**
 * Draws the sheets of the shipped models anew that docs/ shows, and prints the figures that stand beside them.
 *
 *   npx tsx tools/sheets.ts               # all of them
 *   npx tsx tools/sheets.ts scribble between
 */
import sharp, { type Sharp } from 'sharp';
import { toFloat } from '../src/image/index.js';
import {
  type AlphaPicture,
  contactSheet,
  DiffusionPipeline,
  type GeneratedPicture,
  img2img,
  interpolate,
  paletteDistance,
  type RgbPicture,
  readPalette,
} from '../src/index.js';
import { targetsOf } from '../src/pipelines/looks.js';

const SIDE = 128;
const STYLES = ['micah', 'lorelei', 'adventurer', 'pixel-art', 'miniavs'];
const PALETTES = [
  ['#1d3557', '#457b9d', '#a8dadc', '#f1faee', '#e63946'],
  ['#2b1d0e', '#7a4419', '#d9a05b', '#f2e3c6', '#588157'],
];
const SCRIBBLES = [
  `<path d="M34 76V44C34 16 96 16 96 44V76Z" fill="#e07b26"/><ellipse cx="65" cy="66" rx="25" ry="28" fill="#f2c096"/>
   <path d="M20 128C22 100 108 100 110 128Z" fill="#3a6fd6"/>`,
  `<path d="M40 48C44 24 60 20 66 36C72 20 88 24 92 48" fill="none" stroke="#3fa956" stroke-width="12" stroke-linecap="round"/>
   <path d="M28 122L44 106L50 122L66 104L72 122L90 102L94 120L106 104" fill="none" stroke="#7a3fc0" stroke-width="9"/>`,
  `<path d="M0 0H128V30C96 8 32 8 0 30Z" fill="#f7d987"/><path d="M36 116V48C36 12 94 12 94 48V116H80V52H50V116Z" fill="#7d2f30"/>
   <ellipse cx="65" cy="70" rx="19" ry="22" fill="#eec3a3"/><path d="M22 128C24 102 106 102 108 128Z" fill="#1f9e91"/>`,
];

const pipeline = await DiffusionPipeline.fromPretrained('characters');
const labels = pipeline.labels;

const svg = (body: string): Buffer =>
  Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${SIDE}" height="${SIDE}">${body}</svg>`);

async function rgb(image: Sharp): Promise<RgbPicture> {
  const { data, info } = await image
    .flatten({ background: '#fff' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height };
}

async function save(
  name: string,
  pictures: readonly RgbPicture[],
  columns: number,
  captions?: readonly string[],
): Promise<void> {
  const { data, width, height } = await contactSheet(pictures, { columns, labels: captions });
  await sharp(data, { raw: { width, height, channels: 3 } })
    .webp({ quality: 88 })
    .toFile(`docs/images/${name}.webp`);
  console.log(`docs/images/${name}.webp`);
}

const enlarged = ({ data, width, height }: RgbPicture): Promise<RgbPicture> =>
  rgb(sharp(data, { raw: { width, height, channels: 3 } }).resize(SIDE, SIDE, { kernel: 'lanczos3' }));

/** Pictures of all styles in turn, of the seeds from 100. */
const eachStyle = (options: Parameters<DiffusionPipeline['generate']>[0]): Promise<GeneratedPicture[]> =>
  pipeline.generate({ count: 8, seed: 100, label: [...labels], batchSize: 8, ...options });

async function ofOneSeed(seed: number, options: object): Promise<GeneratedPicture[]> {
  const drawn: GeneratedPicture[] = [];
  for (const label of STYLES) drawn.push(...(await pipeline.generate({ count: 1, seed, label, ...options })));
  return drawn;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;

const SHEETS: Record<string, () => Promise<void>> = {
  characters: async () => {
    const label = Array.from({ length: 64 }, (_, i) => labels[Math.floor(i / 8)]);
    await save('characters', await eachStyle({ count: 64, label }), 8);
  },
  refined: async () => {
    const plain = await Promise.all((await eachStyle({ refine: false })).map(enlarged));
    await save('refined', [...plain, ...(await eachStyle({}))], 8);
  },
  'few-steps': async () => {
    const rows: RgbPicture[] = await eachStyle({ steps: 50 });
    const fast = await DiffusionPipeline.fromPretrained('characters-fast');
    for (const steps of [4, 2, 1])
      rows.push(...(await fast.generate({ count: 8, seed: 100, label: [...labels], batchSize: 8, steps })));
    await fast.dispose();
    await save('few-steps', rows, 8);
  },
  blends: async () => {
    const rows: RgbPicture[] = [];
    for (const label of ['dylan', 'dylan+miniavs', 'miniavs', 'micah', 'micah+emoji', 'emoji'])
      rows.push(...(await pipeline.generate({ count: 8, seed: 100, label, batchSize: 8 })));
    await save('blends', rows, 8);
  },
  between: async () => {
    const rows: RgbPicture[] = [];
    for (const way of [
      { seeds: [3, 8], label: 'micah' },
      { seeds: [5], label: ['lorelei', 'micah'] },
      { seeds: [5], label: ['emoji', 'dylan'] },
    ])
      rows.push(...(await interpolate(pipeline, { ...way, frames: 7 })));
    await save('between', rows, 8);
  },
  varied: async () => {
    const rows: RgbPicture[] = [];
    const captions: string[] = [];
    const common = { seed: 7, label: 'micah' };
    const [own] = await pipeline.generate({ ...common, count: 1 });
    for (const vary of [0.1, 0.3, 0.6]) {
      rows.push(own, ...(await pipeline.generate({ ...common, count: 5, vary })));
      captions.push('seed 7', ...Array<string>(5).fill(String(vary)));
    }
    await save('varied', rows, 6, captions);
  },
  scribble: async () => {
    const plain = await ofOneSeed(7, {});
    const rows: RgbPicture[] = [];
    const [free, led]: number[][] = [[], []];
    for (const body of SCRIBBLES) {
      const { data, info } = await sharp(svg(body)).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      const scribble: AlphaPicture = {
        data: new Uint8Array(data.filter((_, i) => i % 4 !== 3)),
        alpha: new Uint8Array(data.filter((_, i) => i % 4 === 3)),
        width: info.width,
        height: info.height,
      };
      const [target] = await targetsOf({ scribble }, [SIDE, SIDE], 1);
      const off = (p: RgbPicture) => 127.5 * Math.sqrt((2 * target.pull(toFloat(p.data)).loss) / 3);
      const drawn = await ofOneSeed(7, { scribble });
      led.push(...drawn.map(off));
      free.push(...plain.map(off));
      rows.push(await rgb(sharp(svg(body))), ...drawn);
    }
    await save(
      'scribble',
      rows,
      6,
      Array(3)
        .fill(['scribble', ...STYLES])
        .flat(),
    );
    console.log(
      `colours under the strokes off by ${mean(free).toFixed(0)} of 255, led ${mean(led).toFixed(0)}`,
    );
  },
  palette: async () => {
    const plain = await ofOneSeed(11, {});
    const rows: RgbPicture[] = [await rgb(sharp(svg(''))), ...plain];
    for (const colours of PALETTES) {
      const stripes = colours.map(
        (c, i) => `<rect y="${(i * SIDE) / colours.length}" width="${SIDE}" height="${SIDE}" fill="${c}"/>`,
      );
      const palette = await readPalette(colours.join(','));
      const drawn = await ofOneSeed(11, { palette });
      const off = (ps: readonly RgbPicture[]) =>
        mean(ps.map((p) => paletteDistance(toFloat(p.data), palette)));
      console.log(`off ${colours}: ${off(plain).toFixed(3)}, led ${off(drawn).toFixed(3)}`);
      rows.push(await rgb(sharp(svg(stripes.join('')))), ...drawn);
    }
    const captions = [
      ' ',
      ...STYLES,
      ...Array(2)
        .fill(['palette', ...STYLES])
        .flat(),
    ];
    await save('palette', rows, 6, captions);
  },
  styled: async () => {
    const [drawn] = await pipeline.generate({ count: 1, seed: 1, label: 'micah', refine: false });
    const [shown] = await pipeline.generate({ count: 1, seed: 1, label: 'micah' });
    const rows: RgbPicture[] = [];
    const captions: string[] = [];
    for (const label of ['pixel-art', 'miniavs', 'lorelei']) {
      rows.push(shown);
      captions.push('micah');
      for (const strength of [0.3, 0.5, 0.7, 0.9]) {
        rows.push(...(await img2img(pipeline, { image: drawn, label, strength, count: 1, seed: 1 })));
        captions.push(`${label} ${strength}`);
      }
    }
    await save('styled', rows, 5, captions);
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in SHEETS));
if (unknown.length > 0) throw new Error(`no sheet ${unknown}: there are ${Object.keys(SHEETS).join(', ')}`);
for (const name of wanted.length > 0 ? wanted : Object.keys(SHEETS)) await SHEETS[name]();
await pipeline.dispose();
