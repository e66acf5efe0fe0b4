import { describe, expect, it } from 'vitest';
import { Compiled } from '../../src/engine/compile.js';
import { whyNot, withoutCuda } from '../../src/engine/engines.js';
import { tf } from '../../src/engine/tf.js';
import { InputError } from '../../src/errors.js';
import { feed } from './helpers.js';

describe('what CUDA lacks', () => {
  it('is nothing, its driver, or CUDA of the version that the libraries were built for', () => {
    expect(withoutCuda([])).toBeUndefined();
    expect(withoutCuda(['libcuda.so.1'])).toBe(
      'libcuda.so.1 cannot be loaded — install an NVIDIA driver (or add its folder to LD_LIBRARY_PATH), or use --engine onnx',
    );
    expect(withoutCuda(['libcublasLt.so.13', 'libcublas.so.13', 'libcurand.so.10', 'libcuda.so.1'])).toBe(
      'libcublasLt.so.13, libcublas.so.13, libcurand.so.10, libcuda.so.1 cannot be loaded — install an NVIDIA driver and CUDA 13 (or add its folder to LD_LIBRARY_PATH), or use --engine onnx',
    );
    expect(withoutCuda(['libcurand.so.10'])).toMatch(/ — install CUDA \(/);
  });

  it.skipIf(whyNot('cuda') === undefined)('is told before anything is built', async () => {
    const built: string[] = [];
    const compiled = new Compiled(({ x }) => ({ y: tf.neg(x) }), {
      engine: 'cuda',
      onBuild: (what) => built.push(what),
    });
    const error = await compiled.run({ x: feed([2], 1) }).catch((e: Error) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toBe(`engine cuda — ${whyNot('cuda')}`);
    expect((error as Error).message).not.toContain('\n');
    expect(built).toEqual([]);
  });
});
