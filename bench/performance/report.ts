/** The numbers as docs/performance.md shows them. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

export interface Side {
  readonly name: string;
  /** Median of a run. */
  readonly ms: number;
  /** From checkpoint to the end of the first run. */
  readonly buildMs?: number;
  readonly rssMb?: number;
  readonly probe?: readonly number[];
}

export interface CaseResult {
  readonly name: string;
  /** Sumi first. */
  readonly sides: readonly Side[];
}

export interface ScalingResult {
  readonly what: string;
  /** Sumi's time, then PyTorch's if it was measured. */
  readonly points: { x: number; ms: number[] }[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Least-squares slope of log time over log x: time grows as x to this power. */
export function exponent(points: readonly { x: number; ms: number }[]): number {
  const logs = points.map(({ x, ms }) => [Math.log(x), Math.log(ms)]);
  const mean = (i: number) => logs.reduce((sum, p) => sum + p[i], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  const top = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return top / logs.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}

const time = (ms: number): string =>
  ms < 100 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
const ratio = (x: number): string => `${x.toFixed(2)}×`;

/** Largest relative difference of the two sides' numbers; bf16 is coarse by nature. */
function difference(a: Side, b: Side): number {
  const pairs = (a.probe ?? []).map((x, i) => [x, b.probe?.[i] ?? Number.NaN]);
  return Math.max(0, ...pairs.map(([x, y]) => Math.abs(x - y) / Math.max(Math.abs(x), Math.abs(y), 1e-3)));
}

function row({ name, sides }: CaseResult): string {
  const [sumi, ...rest] = sides;
  const int8 = rest.find((side) => side.name === 'int8');
  const peers = rest.filter((side) => side !== int8);
  const eager = peers.find((side) => side.name === 'eager');
  const others = peers.filter((side) => side !== eager);
  const best = [...peers].sort((a, b) => a.ms - b.ms)[0];
  return [
    name,
    [time(sumi.ms), ...(int8 ? [`int8 ${time(int8.ms)}`] : [])].join(', '),
    eager ? time(eager.ms) : '',
    others.map((side) => `${side.name} ${time(side.ms)}`).join(', '),
    eager ? `**${ratio(eager.ms / sumi.ms)}**` : '',
    best ? ratio(best.ms / sumi.ms) : '',
    sumi.rssMb ? `${sumi.rssMb.toFixed(0)} / ${eager?.rssMb?.toFixed(0) ?? ''} MB` : '',
    sumi.buildMs ? `${time(sumi.buildMs)} / ${eager?.buildMs ? time(eager.buildMs) : ''}` : '',
    eager && sumi.probe?.length ? difference(sumi, eager).toExponential(0) : '',
  ].join(' | ');
}

function machine(): string {
  const flags = /^flags.*$/m.exec(safeRead('/proc/cpuinfo'))?.[0] ?? '';
  const simd = flags.includes('avx512f') ? ', AVX-512' : flags.includes('avx2') ? ', AVX2' : '';
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${availableParallelism()} cores of ${cpus()[0].model.trim()}${simd}, ${memory} GiB, Node ${process.versions.node}`;
}

function safeRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function markdown(
  results: readonly CaseResult[],
  scaled: readonly ScalingResult[],
  rounds: number,
): string {
  const lines = [
    '# Performance',
    '',
    `Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${machine()}. Sumi's onnx engine, fp32 (int8: \`--precision int8\`), beside PyTorch 2.13 and diffusers with as many threads, the same weights and inputs, in turns of one run; medians over ${rounds} turns. The ratios say how much faster Sumi in fp32 is than PyTorch eager in fp32, and than the fastest variant of PyTorch (bf16 is autocast, compile is torch.compile; both with channels_last). Memory is the peak of the process; "ready" is from the checkpoint to the end of the first run. The last column compares what both computed.`,
    '',
    '| case | Sumi | PyTorch | its variants | to PyTorch | to its best | memory, Sumi / PyTorch | ready | difference |',
    '|---|---|---|---|---|---|---|---|---|',
    ...results.map((result) => `| ${row(result)} |`),
  ];
  if (scaled.length > 0) {
    lines.push(
      '',
      '## Growth of a prediction',
      'A UNet of the 6.5 M one’s shape, 32×32, batch 1, 64 channels unless said; time grows as the power of the last columns.',
      '',
      '| with | from | to | Sumi | PyTorch | power, Sumi | power, PyTorch |',
      '|---|---|---|---|---|---|---|',
    );
    for (const { what, points } of scaled) {
      const [first, last] = [points[0], points[points.length - 1]];
      const of = (side: number) =>
        first.ms[side] === undefined ? '' : `${time(first.ms[side])} to ${time(last.ms[side])}`;
      const power = (side: number) =>
        first.ms[side] === undefined
          ? ''
          : exponent(points.map(({ x, ms }) => ({ x, ms: ms[side] }))).toFixed(2);
      lines.push(`| ${what} | ${first.x} | ${last.x} | ${of(0)} | ${of(1)} | ${power(0)} | ${power(1)} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
