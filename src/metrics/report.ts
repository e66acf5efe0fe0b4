/** An evaluation as text and as files: report.json, a page that needs nothing else, a sheet of the closest pairs. */
import { join } from 'node:path';
import { writeFileAtomic } from '../files/index.js';
import { contactSheet, encodePng, escapeXml, type RgbPicture, writePng } from '../image/index.js';
import type { PictureEvaluation, Source } from './evaluation.js';
import type { ExtractorIdentity } from './extractor.js';
import type { Estimate } from './kid.js';
import type { PictureSet } from './picture-set.js';

export interface ReportFiles {
  readonly json: string;
  readonly html: string;
  readonly closest: string;
}

type Row = readonly string[];

/** A table: its head, then its rows. */
export type Table = readonly Row[];

const estimateText = ({ value, low, high }: Estimate, digits: number): string =>
  `${value.toFixed(digits)} (${low.toFixed(digits)} … ${high.toFixed(digits)})`;

export const kidText = (kid: Estimate): string => estimateText(kid, 3);

/** All figures beside those of real pictures. */
export function figures({ kid, fid, fidInfinity, overlap, floor }: PictureEvaluation): Table {
  return [
    ['', 'generated', `floor: ${floor.count} ${floor.of}`],
    ['KID (95 %)', kidText(kid), kidText(floor.kid)],
    ['FID', fid.toFixed(2), floor.fid.toFixed(2)],
    ['FID∞ (95 % of its line)', estimateText(fidInfinity, 2), ''],
    ['precision', overlap.precision.toFixed(3), ''],
    ['recall', overlap.recall.toFixed(3), ''],
    ['density', overlap.density.toFixed(3), ''],
    ['coverage', overlap.coverage.toFixed(3), ''],
  ];
}

/** The same for each label; null without labels. */
export function labelFigures({ labels }: PictureEvaluation): Table | null {
  if (labels.length === 0) return null;
  return [
    ['label', 'generated', 'real', 'KID (95 %)', 'precision', 'recall'],
    ...labels.map(({ label, generated, real, kid, precision, recall }) => [
      label,
      String(generated),
      String(real),
      kid ? kidText(kid) : 'too few',
      precision?.toFixed(3) ?? '',
      recall?.toFixed(3) ?? '',
    ]),
  ];
}

/** What the distances say about memorisation, in one sentence. */
export function memorisationText({ generated, memorisation }: PictureEvaluation): string {
  const { suspicious, expected, probability, memorises, comparedWith, compared, allowed, twins } =
    memorisation;
  const counts = `${suspicious} of ${generated.count} generated pictures are nearer to a training picture than all but ${allowed} of ${compared} ${comparedWith}; chance explains ${expected.toFixed(1)}`;
  const judged = memorises
    ? `${counts} (p = ${probability.toExponential(1)}): suspicious, look at the closest pairs`
    : `${counts} (p = ${probability.toPrecision(2)}): no sign of memorisation`;
  return twins > 0 ? `${judged} (${twins} more that are in the data twice do not count)` : judged;
}

/** "500 pictures of train (of 12000)" */
export const sourceText = ({ from, count, of }: Source): string =>
  `${count} pictures of ${from}${count < of ? ` (of ${of})` : ''}`;

/** The network that figures depend on: "efficientnet-lite0 c24bf8591a2b" */
export const extractorName = ({ name, sha256 }: ExtractorIdentity): string =>
  `${name} ${sha256.slice(0, 12)}`;

/** The same, and how it sees the pictures. */
export const extractorText = ({ extractor, size }: PictureEvaluation): string =>
  `${extractorName(extractor)}, ${extractor.dimensions} numbers; pictures of ${size}×${size} resized to ${extractor.resize}`;

/** Writes the report's three files into a folder. @throws InputError | RunError when it cannot be written */
export async function writeReport(
  folder: string,
  evaluation: PictureEvaluation,
  generated: PictureSet,
  real: PictureSet,
): Promise<ReportFiles> {
  const files = {
    json: join(folder, 'report.json'),
    html: join(folder, 'report.html'),
    closest: join(folder, 'closest.png'),
  };
  const pairs = await closestSheet(evaluation, generated, real);
  await writePng(files.closest, pairs);
  await writeFileAtomic(files.json, `${JSON.stringify(evaluation, null, 2)}\n`);
  const sheets = [
    ['Closest pairs: generated, then the nearest real picture (! suspicious)', pairs],
    ['Generated', await someOf(generated)],
    ['Real', await someOf(real)],
  ] as const;
  await writeFileAtomic(files.html, await page(evaluation, sheets));
  return files;
}

/** How many pictures a sheet shows. */
const SHOWN = 48;

const zoomFor = (size: number): number => Math.max(1, Math.floor(96 / size));

function someOf(set: PictureSet): Promise<RgbPicture> {
  const pictures = Array.from({ length: Math.min(SHOWN, set.count) }, (_, i) => set.at(i));
  return contactSheet(pictures, { columns: 12, zoom: zoomFor(set.size) });
}

/** Pairs side by side, nearest first; under each, the distance and the share of real pictures that are as near. */
function closestSheet(
  { memorisation: { pairs } }: PictureEvaluation,
  generated: PictureSet,
  real: PictureSet,
): Promise<RgbPicture> {
  const pictures = pairs.flatMap(({ indices: [i, j] }) => [generated.at(i), real.at(j)]);
  const labels = pairs.flatMap(({ distance, rank, suspicious }) => [
    `d ${distance.toFixed(1)}`,
    `${suspicious ? '! ' : ''}${(100 * rank).toFixed(1)} %`,
  ]);
  return contactSheet(pictures, { columns: 8, zoom: zoomFor(real.size), labels });
}

const rowHtml = (cells: Row, tag: 'td' | 'th'): string =>
  `<tr>${cells.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`;

const tableHtml = ([head, ...rows]: Table): string =>
  `<table>\n${rowHtml(head, 'th')}\n${rows.map((cells) => rowHtml(cells, 'td')).join('\n')}\n</table>`;

function distanceTable({ memorisation }: PictureEvaluation): Table {
  const { comparedWith, generatedDistances, realDistances } = memorisation;
  const names = { least: 'least', percent1: '1 %', percent10: '10 %', median: 'median', percent90: '90 %' };
  return [
    ['distance from the nearest real picture', 'generated', comparedWith],
    ...(Object.keys(names) as (keyof typeof names)[]).map((key) => [
      names[key],
      generatedDistances[key].toFixed(2),
      realDistances[key].toFixed(2),
    ]),
  ];
}

async function page(
  evaluation: PictureEvaluation,
  sheets: readonly (readonly [title: string, sheet: RgbPicture])[],
): Promise<string> {
  const { generated, real, heldBack, warnings } = evaluation;
  const images: string[] = [];
  for (const [title, sheet] of sheets) {
    const png = (await encodePng(sheet)).toString('base64');
    images.push(`<h2>${escapeXml(title)}</h2>\n<img alt="" src="data:image/png;base64,${png}">`);
  }
  const sources = [generated, real, ...(heldBack ? [heldBack] : [])].map(sourceText);
  const labels = labelFigures(evaluation);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>sumi eval: ${escapeXml(generated.from)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2em 1.2em .2em 0; text-align: left; border-bottom: 1px solid #ddd }
img { max-width: 100% }
.warning { background: #fff3cd; padding: .3em .6em }
</style>
<h1>Generated pictures against real ones</h1>
<p>${sources.map(escapeXml).join('<br>\n')}</p>
${warnings.map((text) => `<p class="warning">${escapeXml(text)}</p>`).join('\n')}
${tableHtml(figures(evaluation))}
<h2>Memorisation</h2>
<p>${escapeXml(memorisationText(evaluation))}</p>
${tableHtml(distanceTable(evaluation))}
${labels ? `<h2>By label</h2>\n${tableHtml(labels)}` : ''}
${images.join('\n')}
<p>Features: ${escapeXml(extractorText(evaluation))}. Figures of other networks, sizes or numbers of pictures are on
other scales.</p>
</html>
`;
}
