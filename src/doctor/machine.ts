/** `sumi doctor`: what this machine can do. */
import { readFile, statfs } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { Compiled } from '../engine/compile.js';
import { type Engine, engines, whyNot } from '../engine/engines.js';
import { tf } from '../engine/tf.js';
import { type Finding, Findings } from './findings.js';

export interface EngineReport {
  readonly engine: Engine;
  readonly runs: boolean;
  /** Why it does not run, and what to install; null when it runs. */
  readonly reason: string | null;
}

export interface MachineReport {
  readonly node: string;
  readonly platform: string;
  readonly cpu: {
    readonly model: string;
    /** Hardware threads, and those that this process may use. */
    readonly cores: number;
    readonly threads: number;
    /** Instruction sets that matter to arithmetic; empty where the system does not tell. */
    readonly features: readonly string[];
  };
  /** In bytes. */
  readonly memory: { readonly total: number; readonly available: number };
  /** Of the working folder, in bytes. */
  readonly disk: { readonly folder: string; readonly free: number };
  /** Of the packages that compute. */
  readonly versions: Readonly<Record<string, string | null>>;
  readonly engines: readonly EngineReport[];
  readonly findings: readonly Finding[];
  /** Whether Sumi's default engine runs here. */
  readonly ready: boolean;
}

/** Oldest Node that Sumi runs on; as in package.json. */
const OLDEST_NODE = [20, 19] as const;
const GIGABYTE = 1e9;

const FEATURES =
  /^(sse4_2|avx|avx2|fma|f16c|avx512f|avx512bw|avx512_vnni|avx512_bf16|avx_vnni|amx_tile|amx_bf16|amx_int8|asimd|asimddp|fphp|i8mm|bf16|sve|sve2)$/;

/** @param cpuinfo content of Linux's /proc/cpuinfo */
export function featuresOf(cpuinfo: string): string[] {
  const [, flags = ''] = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo) ?? [];
  return flags.split(/\s+/).filter((flag) => FEATURES.test(flag));
}

const require = createRequire(import.meta.url);

/** Version of an installed package; null when it is not installed. */
async function versionOf(name: string): Promise<string | null> {
  try {
    const entry = require.resolve(name);
    // Many packages do not export their package.json: it lies above the entry, in the folder of that name.
    const root = entry.slice(0, entry.lastIndexOf(path.join('node_modules', name)));
    const file = path.join(root, 'node_modules', name, 'package.json');
    return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version;
  } catch {
    return null;
  }
}

const PACKAGES = [
  'onnxruntime-node',
  '@tensorflow/tfjs',
  'sharp',
  '@tensorflow/tfjs-node',
  '@tensorflow/tfjs-node-gpu',
  '@tensorflow/tfjs-backend-wasm',
];

/** Starts an engine on a product of two small matrices. @returns why that failed; null when it is right */
async function tryEngine(engine: Engine): Promise<string | null> {
  const lacking = whyNot(engine);
  if (lacking) return lacking;
  const compiled = new Compiled(({ x }) => ({ y: tf.matMul(x, x) }), { engine, threads: 1, name: 'doctor' });
  try {
    const x = { shape: [2, 2], dtype: 'float32' as const, data: Float32Array.of(1, 2, 3, 4) };
    const { y } = await compiled.run({ x });
    return `${Array.from(y)}` === '7,10,15,22'
      ? null
      : `it computes ${Array.from(y).join(', ')} where 7, 10, 15, 22 is right — update its driver or package`;
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    return line.replace(`engine ${engine} — `, '');
  } finally {
    await compiled.dispose().catch(() => {});
  }
}

async function examineEngines(only: readonly Engine[]): Promise<EngineReport[]> {
  const previous = tf.getBackend();
  const reports: EngineReport[] = [];
  for (const engine of only) {
    const reason = await tryEngine(engine);
    reports.push({ engine, runs: reason === null, reason });
  }
  if (previous && tf.getBackend() !== previous) await tf.setBackend(previous);
  return reports;
}

function judge(report: Omit<MachineReport, 'findings' | 'ready'>, findings: Findings): void {
  const [major, minor] = report.node.replace(/^v/, '').split('.').map(Number);
  const [oldest, oldestMinor] = OLDEST_NODE;
  if (major < oldest || (major === oldest && minor < oldestMinor))
    findings.error(
      'machine',
      `Node ${report.node} is too old — ${process.execPath} — install ${OLDEST_NODE.join('.')} or newer`,
    );
  const onnx = report.engines.find((e) => e.engine === 'onnx');
  if (onnx && !onnx.runs)
    findings.error('machine', `the default engine does not run — onnx — ${onnx.reason}`);
  const { features } = report.cpu;
  if (features.length > 0 && report.platform.endsWith('x64') && !features.includes('avx2'))
    findings.warn(
      'machine',
      `the CPU lacks AVX2 — ${report.cpu.model} — expect a quarter of the usual speed`,
    );
  if (report.memory.available < GIGABYTE)
    findings.warn('machine', 'less than 1 GB of memory is available — this machine — close other programs');
  if (report.disk.free < GIGABYTE)
    findings.warn(
      'machine',
      `less than 1 GB is free — ${report.disk.folder} — free some space before training`,
    );
}

export interface MachineOptions {
  /** Working folder. */
  readonly folder?: string;
  /** Engines that are tried; default all. */
  readonly only?: readonly Engine[];
}

/** Looks at this machine and starts each engine on a small product. */
export async function examineMachine({
  folder = process.cwd(),
  only = engines,
}: MachineOptions = {}): Promise<MachineReport> {
  const cpus = os.cpus();
  const disk = await statfs(folder);
  const cpuinfo = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const facts = {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: {
      model: cpus[0]?.model.trim() ?? 'unknown',
      cores: cpus.length,
      threads: os.availableParallelism(),
      features: featuresOf(cpuinfo),
    },
    memory: { total: os.totalmem(), available: process.availableMemory?.() ?? os.freemem() },
    disk: { folder, free: disk.bavail * disk.bsize },
    versions: Object.fromEntries(
      await Promise.all(PACKAGES.map(async (name) => [name, await versionOf(name)] as const)),
    ),
    engines: await examineEngines(only),
  };
  const findings = new Findings();
  judge(facts, findings);
  return { ...facts, findings: findings.list, ready: findings.list.every((f) => f.severity !== 'error') };
}
