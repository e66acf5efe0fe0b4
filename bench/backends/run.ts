/**
 * Checks every backend that this machine has against ONNX Runtime on the CPU, one line each.
 *
 *   npm run bench:backends
 *   npm run bench:backends -- --only webgpu,browser --check "operations" --chromium /usr/bin/chromium
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { root } from '../performance/cases.js';
import { checkBrowser } from './browser.js';
import { type Outcome, summary } from './report.js';
import type { Line } from './worker.js';

const ENGINES = ['webgpu', 'cuda', 'tensorflow', 'wasm'] as const;
const CHROMIUMS = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

const argv = await yargs(hideBin(process.argv))
  .option('only', {
    type: 'string',
    describe: 'Backends, with commas',
    default: [...ENGINES, 'browser'].join(),
  })
  .option('check', { type: 'string', describe: 'Checks whose name contains this', default: '' })
  .option('chromium', { type: 'string', describe: 'A Chromium to try the page in; default one on the PATH' })
  .option('verbose', { type: 'boolean', default: false, describe: 'What the native libraries say, too' })
  .strict()
  .parse();

/** One engine in a process of its own: a native library that fails may end it. */
async function checkEngine(engine: string): Promise<Outcome> {
  const worker = join(root, 'bench/backends/worker.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', worker, engine, argv.check], {
    stdio: ['ignore', 'pipe', argv.verbose ? 'inherit' : 'ignore'],
  });
  const ended = new Promise<string | null>((resolve) => {
    child.on('close', (code, signal) => resolve(code === 0 ? null : `ended by ${signal ?? `code ${code}`}`));
  });
  const lines: Line[] = [];
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    if ('check' in line) console.error(`  ${engine}: ${line.check}: ${line.error ?? line.where}`);
  }
  return { backend: engine, lines, crash: await ended };
}

async function browser(report: (outcome: Outcome) => void): Promise<void> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = CHROMIUMS.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
  const chromium = argv.chromium ?? found;
  if (!chromium || !existsSync(chromium)) {
    const absent = `no Chromium ${chromium ? `at ${chromium}` : 'on the PATH'} — name one with --chromium`;
    report({ backend: 'browser', lines: [{ absent }], crash: null });
    return;
  }
  await checkBrowser(chromium, ({ engine, seconds, worst, failure }) => {
    const check = 'picture, in steps of 1/255';
    const found = worst ?? { where: failure ?? '' };
    const lines: Line[] = [{ check, tolerance: 1, seconds, ...found }];
    report({ backend: `browser, ${engine}`, lines, crash: null });
  });
}

let failed = false;
const report = (outcome: Outcome) => {
  const { text, passed } = summary(outcome);
  failed ||= !passed;
  console.log(text);
};
for (const backend of argv.only.split(','))
  if (backend === 'browser') await browser(report);
  else report(await checkEngine(backend));
process.exitCode = failed ? 1 : 0;
