/** Updates of training vectors by a gradient, in place. */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { Feed } from '../engine/session.js';
import { adamW, COEFFICIENTS } from './adamw.js';
import { ADAMW } from './adamw-binary.js';
import { type Block, blockOf, type TrainVectors, vectorNames } from './vectors.js';
import { Instance, Module } from './wasm.js';

export interface Update {
  /** Where the gradient goes, as long as a vector. */
  readonly grads: Float32Array;
  /** @param numbers of `coefficients` */
  run(numbers: Float32Array): Promise<void>;
  dispose(): Promise<void>;
}

/** The fastest way there is to update these. */
export function updateOf(vectors: TrainVectors, options: CompileOptions): Update {
  const block = blockOf(vectors);
  return block ? new BlockUpdate(block) : new ChunkedUpdate(vectors, options);
}

/** Vectors in one memory: one pass over them in WebAssembly, as fast as memory is. */
class BlockUpdate implements Update {
  readonly grads: Float32Array;
  private readonly kernel: (...addresses: number[]) => void;

  constructor(private readonly block: Block) {
    this.grads = block.grads;
    const module = new Module(Buffer.from(ADAMW, 'base64'));
    this.kernel = new Instance(module, { train: { memory: block.memory } }).exports.update;
  }

  async run(given: Float32Array): Promise<void> {
    const { stride, numbers } = this.block;
    numbers.set(given);
    const [params, m, v, ema, grads] = [0, 1, 2, 3, 4].map((i) => i * stride);
    this.kernel(params, m, v, ema, grads, numbers.byteOffset, stride);
  }

  async dispose(): Promise<void> {}
}

/** Elements that are updated at once: the vectors and what lies between are about ten times as many. */
export const CHUNK = 2 ** 17;

const update: TensorFunction = ({ params, m, v, ema, grads, numbers }) =>
  adamW({ params, m, v, ema }, grads, numbers);

/** Vectors that lie anywhere: by the engine, in chunks that stay in the processor's cache. */
class ChunkedUpdate implements Update {
  readonly grads: Float32Array;
  private readonly compiled: Compiled;

  constructor(
    private readonly vectors: TrainVectors,
    { engine, threads }: CompileOptions,
  ) {
    this.grads = new Float32Array(vectors.params.length);
    this.compiled = new Compiled(update, { engine, threads, name: 'update' });
  }

  async run(given: Float32Array): Promise<void> {
    const numbers: Feed = { data: given, shape: [COEFFICIENTS], dtype: 'float32' };
    for (let from = 0; from < this.grads.length; from += CHUNK) {
      const chunk = (vector: Float32Array): Feed => {
        const data = vector.subarray(from, from + CHUNK);
        return { data, shape: [data.length], dtype: 'float32' };
      };
      const into = Object.fromEntries(vectorNames.map((name) => [name, chunk(this.vectors[name])]));
      await this.compiled.run({ ...into, grads: chunk(this.grads), numbers }, into);
    }
  }

  dispose(): Promise<void> {
    return this.compiled.dispose();
  }
}
