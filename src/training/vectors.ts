/** The numbers of a network in training, as flat vectors that lie in one WebAssembly memory. */
import { Memory, type WasmMemory } from './wasm.js';

/** What changes from step to step: parameters, both Adam moments and the averaged parameters, all flat. */
export interface TrainVectors {
  readonly params: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly ema: Float32Array;
}

export const vectorNames = ['params', 'm', 'v', 'ema'] as const;

/** Vectors of one length in one memory: those of training, one for the gradient, and room for an update's numbers. */
export interface Block {
  readonly memory: WasmMemory;
  /** Bytes from one vector to the next, in the order of `vectorNames`, then the gradient; the numbers come last. */
  readonly stride: number;
  readonly grads: Float32Array;
  readonly numbers: Float32Array;
}

const PAGE = 2 ** 16;
/** What WebAssembly can address. */
const MOST_PAGES = 2 ** 16;
/** Numbers that an update is told. */
const NUMBERS = 16;

const blocks = new WeakMap<TrainVectors, Block>();

/** Where vectors lie, for those that lie in one memory. */
export const blockOf = (vectors: TrainVectors): Block | undefined => blocks.get(vectors);

/** Vectors of zeros: in one memory, or as plain arrays where that cannot be (from 214 million parameters on). */
function zeroVectors(length: number): TrainVectors {
  const stride = Math.max(1, Math.ceil(length / 4)) * 16;
  const vectors = vectorNames.length + 1;
  const pages = Math.ceil((vectors * stride + NUMBERS * 4) / PAGE);
  const memory = pages <= MOST_PAGES ? reserve(pages) : null;
  if (!memory) {
    const [params, m, v, ema] = vectorNames.map(() => new Float32Array(length));
    return { params, m, v, ema };
  }
  const at = (i: number) => new Float32Array(memory.buffer, i * stride, length);
  const [params, m, v, ema, grads] = Array.from({ length: vectors }, (_, i) => at(i));
  const made = { params, m, v, ema };
  const numbers = new Float32Array(memory.buffer, vectors * stride, NUMBERS);
  blocks.set(made, { memory, stride, grads, numbers });
  return made;
}

/** A memory, unless the system has no addresses left for one: it is asked for 10 GB of them at once. */
function reserve(pages: number): WasmMemory | null {
  try {
    return new Memory({ initial: pages, maximum: pages });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** The state before the first step. @param params are copied */
export function freshVectors(params: Float32Array): TrainVectors {
  const vectors = zeroVectors(params.length);
  vectors.params.set(params);
  vectors.ema.set(params);
  return vectors;
}

/** A state that was saved. @param arrays are copied */
export function savedVectors(arrays: TrainVectors): TrainVectors {
  const vectors = zeroVectors(arrays.params.length);
  for (const name of vectorNames) vectors[name].set(arrays[name]);
  return vectors;
}
