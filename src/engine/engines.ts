/** The engines that Sumi runs on, and what this machine lacks for each. */

import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { InputError } from '../errors.js';
import { tf } from './tf.js';

/** Compiled: onnx (CPU), webgpu, cuda. Eager tfjs: tensorflow (tfjs-node-gpu or tfjs-node), wasm, cpu. */
export const engines = ['onnx', 'webgpu', 'cuda', 'tensorflow', 'wasm', 'cpu'] as const;
export type Engine = (typeof engines)[number];

export function isCompiled(engine: Engine): boolean {
  return engine === 'onnx' || engine === 'webgpu' || engine === 'cuda';
}

const require = createRequire(import.meta.url);

/**
 * Why this machine cannot run an engine, with what to install; undefined when it can, as far as can be told
 * without starting it.
 */
export function whyNot(engine: Engine): string | undefined {
  if (engine !== 'cuda') return undefined;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return 'ONNX Runtime has CUDA for Node on linux/x64 only — use --engine webgpu or onnx';
  }
  const root = path.dirname(require.resolve('onnxruntime-node/package.json'));
  const library = path.join(root, 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so');
  // The placeholder that tools/preinstall.cjs lays is empty.
  const size = statSync(library, { throwIfNoEntry: false })?.size ?? 0;
  return size > 0
    ? withoutCuda(unfound(library))
    : `the CUDA libraries of onnxruntime-node are not installed — run "ONNXRUNTIME_NODE_INSTALL=true node ${path.join(root, 'script/install.js')}" (they need an NVIDIA driver and CUDA), or use --engine onnx`;
}

/** Why CUDA cannot start without these libraries; undefined when it lacks none. */
export function withoutCuda(missing: readonly string[]): string | undefined {
  if (missing.length === 0) return undefined;
  const driver = missing.includes('libcuda.so.1') ? ['an NVIDIA driver'] : [];
  const toolkit = missing.filter((name) => name !== 'libcuda.so.1');
  // libcublas.so.13 is of CUDA 13; libraries such as libcurand.so.10 count in their own way.
  const [, version = ''] = /lib(?:cublas|cublasLt|cudart)\.so\.(\d+)/.exec(toolkit.join(' ')) ?? [];
  const cuda = toolkit.length > 0 ? [`CUDA ${version}`.trim()] : [];
  return `${missing.join(', ')} cannot be loaded — install ${[...driver, ...cuda].join(' and ')} (or add its folder to LD_LIBRARY_PATH), or use --engine onnx`;
}

/** Libraries that a library needs and the loader does not find. */
function unfound(library: string): string[] {
  try {
    const told = execFileSync('ldd', [library], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [...told.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
  } catch {
    // No ldd: starting the provider tells.
    return [];
  }
}

/** @throws InputError naming what is missing */
export function requireEngine(engine: Engine): void {
  const reason = whyNot(engine);
  if (reason) throw new InputError(`engine ${engine} — ${reason}`);
}

async function firstOf(names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    try {
      await import(name);
      return true;
    } catch {
      // Try the next one; the caller says what to install when none is there.
    }
  }
  return false;
}

let starting: Promise<unknown> = Promise.resolve();

/** Resolves when no backend is being started: until then tfjs lets no other be used, the tracer's neither. */
export const backendsSettled = (): Promise<unknown> => starting;

/**
 * Makes an eager engine's tfjs backend the current one.
 * @throws InputError when its package is not installed or does not start
 */
export async function useEagerBackend(engine: Engine): Promise<void> {
  if (engine === 'tensorflow') {
    if (
      !tf.findBackend('tensorflow') &&
      !(await firstOf(['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']))
    ) {
      throw new InputError(
        'engine tensorflow — neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed or loads — run "npm i @tensorflow/tfjs-node-gpu", or use --engine onnx',
      );
    }
  }
  if (engine === 'wasm') {
    if (!tf.findBackend('wasm') && !(await firstOf(['@tensorflow/tfjs-backend-wasm']))) {
      throw new InputError(
        'engine wasm — @tensorflow/tfjs-backend-wasm is not installed — run "npm i @tensorflow/tfjs-backend-wasm", or use --engine onnx',
      );
    }
  }
  // tfjs-wasm's threads are browser workers: Node has none of that kind.
  if (engine === 'wasm') tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  if (tf.getBackend() === engine) return;
  const start = tf.setBackend(engine);
  starting = start.catch(() => {});
  if (!(await start)) {
    throw new InputError(
      `engine ${engine} — its tfjs backend did not start on this machine — use --engine onnx`,
    );
  }
}
