/**
 * The page of examples/browser in a real browser, its picture beside the one that the same files give in Node.
 * The browser is any Chromium; it needs no driver, for the page itself sends its picture to the server it came from.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { loadOrt } from '../../src/engine/session.js';
import { exportOnnx } from '../../src/export/index.js';
import { root } from '../performance/cases.js';
import { byteDifference, type Worst } from './checks.js';

const STEPS = 4;
const SEED = 7;
/** A software driver takes its time. */
const PATIENCE = 300_000;

interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly pixels: number[];
}
interface Page {
  openModel(ort: unknown, read: (file: string) => Promise<Uint8Array>): Promise<object>;
  draw(model: object, options: object): Promise<{ data: Uint8ClampedArray }>;
}

/** What is added to the page: it tells the server what its canvas shows, or what went wrong. */
const REPORTER = `<script type="module">
  const news = document.querySelector('#news');
  const canvas = document.querySelector('canvas');
  const send = (body) => fetch('/drawn', { method: 'POST', body: JSON.stringify(body) });
  const watch = setInterval(() => {
    const { textContent: text } = news;
    if (text.startsWith('opening') || text.startsWith('step')) return;
    clearInterval(watch);
    if (!text.startsWith('drawn')) return send({ error: text });
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    send({ width, height, pixels: [...data] });
  }, 50);
</script>`;

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** Serves the checkout, the exported model in the place of the page's, and takes what the page sends. */
function serve(model: string, onDrawn: (sent: Drawn | { error: string }) => void): Server {
  const file = async (path: string, response: ServerResponse) => {
    const inside = normalize(decodeURIComponent(path)).replace(/^[/\\.]+/, '');
    const exported = /^examples\/browser\/model\/(.*)/.exec(inside);
    const from = exported ? join(model, exported[1]) : join(root, inside.replace(/^$|\/$/, '$&index.html'));
    const bytes = await readFile(from);
    const body = from.endsWith('.html') ? bytes.toString().replace('</body>', `${REPORTER}</body>`) : bytes;
    response.writeHead(200, { 'content-type': TYPES[extname(from)] ?? 'application/octet-stream' }).end(body);
  };
  return createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (request.method === 'POST') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      response.end();
      onDrawn(JSON.parse(Buffer.concat(chunks).toString()));
      return;
    }
    await file(pathname, response).catch(() => response.writeHead(404).end());
  });
}

const FLAGS: Record<string, string[]> = {
  wasm: ['--disable-gpu'],
  webgpu: ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-webgpu-adapter=swiftshader'],
};

/** A browser at a page, with a profile of its own. */
function open(chromium: string, url: string, profile: string, flags: readonly string[]): ChildProcess {
  const common = ['--headless=new', '--no-sandbox', '--no-first-run', `--user-data-dir=${profile}`];
  return spawn(chromium, [...common, ...flags, url], { stdio: 'ignore' });
}

async function close(browser: ChildProcess): Promise<void> {
  if (browser.pid === undefined || browser.exitCode !== null || browser.signalCode !== null) return;
  const exit = once(browser, 'exit');
  browser.kill();
  await exit;
}

/** What the page shows, computed by `engine`. */
async function drawIn(chromium: string, model: string, engine: string, profile: string): Promise<Drawn> {
  let onDrawn: (sent: Drawn | { error: string }) => void = () => {};
  const drawn = new Promise<Drawn | { error: string }>((resolve) => {
    onDrawn = resolve;
  });
  const server = serve(model, onDrawn).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/examples/browser/?engine=${engine}&steps=${STEPS}&seed=${SEED}`;
  const browser = open(chromium, url, profile, FLAGS[engine]);
  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_, reject) => {
    browser.on('error', reject);
    browser.on('exit', (code) => reject(new Error(`the browser ended with code ${code}`)));
    timer = setTimeout(() => reject(new Error(`no picture in ${PATIENCE / 1000} s`)), PATIENCE);
  });
  // Closing the browser is no failure any more.
  failed.catch(() => {});
  try {
    const sent = await Promise.race([drawn, failed]);
    if ('error' in sent) throw new Error(sent.error);
    return sent;
  } finally {
    clearTimeout(timer);
    await close(browser);
    server.closeAllConnections();
    server.close();
  }
}

/** The same page's module in Node. */
async function drawInNode(model: string): Promise<Uint8ClampedArray> {
  const page = (await import(join(root, 'examples/browser/draw.js'))) as Page;
  const opened = await page.openModel(await loadOrt(), (name) => readFile(join(model, name)));
  return (await page.draw(opened, { seed: SEED, steps: STEPS, label: 0 })).data;
}

export interface BrowserResult {
  readonly engine: string;
  readonly seconds: number;
  readonly worst?: Worst;
  readonly failure?: string;
}

/** Draws with the shipped model by wasm and by WebGPU; told of each when it is done. */
export async function checkBrowser(
  chromium: string,
  onResult: (result: BrowserResult) => void,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sumi-browser-'));
  try {
    const model = join(folder, 'model');
    await exportOnnx('characters', model);
    const want = await drawInNode(model);
    for (const engine of Object.keys(FLAGS)) {
      const start = performance.now();
      const seconds = () => (performance.now() - start) / 1000;
      try {
        const { pixels } = await drawIn(chromium, model, engine, join(folder, engine));
        onResult({ engine, seconds: seconds(), worst: byteDifference(pixels, want) });
      } catch (error) {
        onResult({ engine, seconds: seconds(), failure: (error as Error).message.split('\n')[0] });
      }
    }
  } finally {
    // A browser may still write to its profile while it ends.
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
