/** Progress on stderr: a bar for a terminal, now and then a line for a log, nothing with --quiet. */
import { SingleBar } from 'cli-progress';
import { duration } from './format.js';

export interface ProgressFields {
  readonly loss?: number;
  readonly picturesPerSecond?: number;
  /** Overrides the estimate from the pace so far (a run limited by minutes knows better). */
  readonly etaSeconds?: number;
}

export interface Progress {
  /** @param done how many of `total` are done */
  update(done: number, fields?: ProgressFields): void;
  /** Prints a line without breaking the bar. */
  note(line: string): void;
  /** Ends the bar; safe to call twice. Always call it (finally), or the bar keeps the cursor hidden. */
  stop(): void;
}

export interface ProgressOptions {
  /** What is being done: "train", "generate". */
  readonly label: string;
  /** How many there are to do; left out when unknown. */
  readonly total?: number;
  readonly quiet?: boolean;
  /** Seconds between lines in a log (default 10). */
  readonly every?: number;
  readonly stream?: NodeJS.WriteStream;
}

function texts({ loss, picturesPerSecond }: ProgressFields): string[] {
  const out: string[] = [];
  if (loss !== undefined) out.push(`loss ${loss.toPrecision(4)}`);
  if (picturesPerSecond !== undefined) out.push(`${picturesPerSecond.toPrecision(3)} pictures/s`);
  return out;
}

const silent: Progress = { update() {}, note() {}, stop() {} };

/** Starts showing progress; see `Progress`. */
export function startProgress(options: ProgressOptions): Progress {
  if (options.quiet) return silent;
  const stream = options.stream ?? process.stderr;
  return stream.isTTY ? bar(options, stream) : log(options, stream);
}

/** Seconds left at the pace since the first update: what came before (building a graph) would mislead. */
function estimator(total: number | undefined): (done: number, given?: number) => number {
  let start: { done: number; at: number } | undefined;
  return (done, given) => {
    const now = performance.now() / 1000;
    start ??= { done, at: now };
    if (given !== undefined) return given;
    if (total === undefined || done <= start.done) return Number.NaN;
    return ((now - start.at) / (done - start.done)) * (total - done);
  };
}

function bar({ label, total }: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  const shown = new SingleBar({
    stream,
    format: total === undefined ? `${label} {value} {fields}` : `${label} {bar} {value}/{total} {fields}`,
    barsize: 24,
    hideCursor: true,
    clearOnComplete: false,
    noTTYOutput: false,
    // Ctrl-C is interrupt.ts's.
    gracefulExit: false,
    // Redrawn by update alone: native work blocks the timers anyway.
    fps: 10,
  });
  const eta = estimator(total);
  let stopped = false;
  shown.start(total ?? Number.MAX_SAFE_INTEGER, 0, { fields: '' });
  return {
    update(done, fields = {}) {
      const left = eta(done, fields.etaSeconds);
      const parts = texts(fields);
      if (Number.isFinite(left)) parts.push(`${duration(left)} left`);
      shown.update(done, { fields: parts.join(' · ') });
    },
    note(line) {
      if (stopped) return void stream.write(`${line}\n`);
      // Clear the bar's line, write ours, and let the next redraw put the bar below.
      stream.write(`\r\x1b[K${line}\n`);
      shown.render();
    },
    stop() {
      if (!stopped) shown.stop();
      stopped = true;
    },
  };
}

function log({ label, total, every = 10 }: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  const eta = estimator(total);
  let printedAt = performance.now();
  let last: { done: number; fields: ProgressFields } | undefined;
  let printed: number | undefined;
  const line = (done: number, fields: ProgressFields, left: number) => {
    const parts = [`${label} ${done}${total === undefined ? '' : `/${total}`}`, ...texts(fields)];
    if (Number.isFinite(left) && done !== total) parts.push(`${duration(left)} left`);
    stream.write(`${parts.join(' · ')}\n`);
    printed = done;
    printedAt = performance.now();
  };
  return {
    update(done, fields = {}) {
      last = { done, fields };
      const left = eta(done, fields.etaSeconds);
      if (performance.now() - printedAt >= every * 1000 || done === total) line(done, fields, left);
    },
    note(text) {
      stream.write(`${text}\n`);
    },
    stop() {
      if (last && printed !== last.done) line(last.done, last.fields, Number.NaN);
      last = undefined;
    },
  };
}
