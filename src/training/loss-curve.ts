/** The loss over the steps as an SVG picture. */
interface Point {
  readonly step: number;
  readonly loss: number;
}

/** Losses that checkpoints are measured by, and how they are drawn. */
const MEASURED = [
  { name: 'train_loss', title: 'training pictures', colour: '#3a9a5b' },
  { name: 'held_back_loss', title: 'held-back pictures', colour: '#d1495b' },
];

const WIDTH = 720;
const HEIGHT = 360;
const MARGIN = { left: 64, right: 16, top: 16, bottom: 40 };

/** Means of up to 300 equal runs of steps: a curve of thousands of noisy points says less. */
function bins(points: readonly Point[]): Point[] {
  const per = Math.max(1, Math.ceil(points.length / 300));
  const out: Point[] = [];
  for (let i = 0; i < points.length; i += per) {
    const run = points.slice(i, i + per);
    out.push({
      step: run[run.length - 1].step,
      loss: run.reduce((sum, p) => sum + p.loss, 0) / run.length,
    });
  }
  return out;
}

/** Round numbers that divide a range into about five parts. */
function ticks(from: number, to: number): number[] {
  const span = to - from || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= 6) ?? span;
  const out: number[] = [];
  for (let t = Math.ceil(from / step) * step; t <= to + step * 1e-6; t += step) out.push(t);
  return out;
}

const label = (x: number): string =>
  Math.abs(x) >= 1000 ? `${x / 1000}k` : String(Number(x.toPrecision(4)));

/**
 * Draws the loss on a logarithmic scale where it spans more than a factor of ten.
 * @param checkpoints lines with `held_back_loss` and `train_loss`, which are drawn beside it; others have neither
 */
export function lossCurve(
  points: readonly Point[],
  checkpoints: readonly Readonly<Record<string, unknown>>[] = [],
): string {
  const shown = bins(points.filter((p) => Number.isFinite(p.loss)));
  const measured = MEASURED.map((line) => ({
    ...line,
    points: checkpoints.flatMap(({ step, [line.name]: loss }) =>
      typeof loss === 'number' ? [{ step: Number(step), loss }] : [],
    ),
  })).filter(({ points }) => points.length > 0);
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>`;
  if (shown.length === 0) return `${open}</svg>\n`;
  const losses = [...shown, ...measured.flatMap((line) => line.points)].map((p) => p.loss);
  const log = Math.min(...losses) > 0 && Math.max(...losses) / Math.min(...losses) > 10;
  const scale = log ? Math.log10 : (x: number) => x;
  const [low, high] = [Math.min(...losses.map(scale)), Math.max(...losses.map(scale))];
  const [first, last] = [shown[0].step, shown[shown.length - 1].step];
  const x = (step: number) =>
    MARGIN.left + ((step - first) / (last - first || 1)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (v: number) =>
    HEIGHT - MARGIN.bottom - ((v - low) / (high - low || 1)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const horizontal = ticks(low, high).map(
    (v) =>
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y(v).toFixed(1)}" y2="${y(v).toFixed(1)}" stroke="#ddd"/><text x="${MARGIN.left - 8}" y="${(y(v) + 4).toFixed(1)}" text-anchor="end">${label(log ? 10 ** v : v)}</text>`,
  );
  const vertical = ticks(first, last).map(
    (v) =>
      `<text x="${x(v).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${label(v)}</text>`,
  );
  const path = (line: readonly Point[]) =>
    line.map((p) => `${x(p.step).toFixed(1)},${y(scale(p.loss)).toFixed(1)}`).join(' ');
  const beside = measured.map(
    ({ title, colour, points }, i) =>
      `<polyline points="${path(points)}" fill="none" stroke="${colour}" stroke-width="2"/><text x="${WIDTH - MARGIN.right}" y="${MARGIN.top + 14 + 16 * i}" text-anchor="end" fill="${colour}">${title}</text>`,
  );
  return `${open}${horizontal.join('')}${vertical.join('')}<polyline points="${path(shown)}" fill="none" stroke="#3557a5" stroke-width="1.5"/>${beside.join('')}<text x="${WIDTH / 2}" y="${HEIGHT - 6}" text-anchor="middle">step</text><text x="14" y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 ${HEIGHT / 2})">loss${log ? ' (log)' : ''}</text></svg>\n`;
}
