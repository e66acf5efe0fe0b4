import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toBF16, toF16 } from '../../src/checkpoint/dtypes.js';
import {
  type FloatDtype,
  readSafetensors,
  readSafetensorsHeader,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';
import { InputError } from '../../src/errors.js';

const fixtures = join(import.meta.dirname, '../fixtures/checkpoint');
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sumi-safetensors-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('reading what the reference implementation wrote', () => {
  it('reads every dtype', async () => {
    const { tensors, metadata } = await readSafetensors(join(fixtures, 'dtypes.safetensors'));
    expect(metadata).toEqual({ format: 'pt' });
    const floats = tensors.get('floats.f32')!;
    expect(floats.dtype).toBe('F32');
    expect(floats.shape).toEqual([7, 9]);
    const exact = floats.data as Float32Array;
    expect([...exact.subarray(0, 5)]).toEqual([0, -0, 1, -2.5, 65504]);
    expect(exact[14]).toBe(Number.POSITIVE_INFINITY);
    expect(exact[15]).toBeNaN();
    expect(tensors.get('floats.f64')!.data).toEqual(exact);

    // torch did the rounding there, we do it here: the bits must agree, in both directions.
    const half = tensors.get('floats.f16')!.data as Float32Array;
    const brain = tensors.get('floats.bf16')!.data as Float32Array;
    for (let i = 0; i < exact.length; i++) {
      if (Number.isNaN(exact[i])) {
        expect(half[i]).toBeNaN();
        expect(brain[i]).toBeNaN();
        continue;
      }
      expect(roundTrip('F16', exact[i])).toBe(half[i]);
      expect(roundTrip('BF16', exact[i])).toBe(brain[i]);
    }
    expect(tensors.get('whole.i32')!.data).toEqual(new Int32Array([1, -2, 3, 2 ** 31 - 1]));
    expect(tensors.get('whole.i64')!.data).toEqual(new BigInt64Array([1n, -2n, 2n ** 62n]));
    expect(tensors.get('whole.u8')!.data).toEqual(new Uint8Array([0, 7, 255]));
    expect(tensors.get('whole.bool')!.data).toEqual(new Uint8Array([1, 0]));
    expect(tensors.get('scalar')).toEqual({ dtype: 'F32', shape: [], data: new Float32Array([3.5]) });
    expect(tensors.get('empty')!.shape).toEqual([0, 4]);
  });

  it('reads a header alone', async () => {
    const { tensors } = await readSafetensorsHeader(join(fixtures, 'dtypes.safetensors'));
    expect(tensors.get('floats.bf16')).toMatchObject({ dtype: 'BF16', shape: [7, 9] });
  });

  it('reads weights split over several files as one', async () => {
    const unet = join(fixtures, 'sharded/unet');
    const index = JSON.parse(
      await readFile(join(unet, 'diffusion_pytorch_model.safetensors.index.json'), 'utf8'),
    );
    const { tensors } = await readSafetensors(join(unet, 'diffusion_pytorch_model.safetensors.index.json'));
    expect([...tensors.keys()].sort()).toEqual(Object.keys(index.weight_map).sort());
    expect(new Set(Object.values(index.weight_map)).size).toBeGreaterThan(1);
    expect(tensors.get('conv_in.weight')!.shape).toEqual([8, 3, 3, 3]);
  });
});

function roundTrip(dtype: 'F16' | 'BF16', value: number): number {
  const bits = new Uint16Array(1);
  (dtype === 'F16' ? toF16 : toBF16)(new Float32Array([value]), bits);
  const b = bits[0];
  if (dtype === 'BF16') return new Float32Array(new Uint32Array([b << 16]).buffer)[0];
  const [sign, e, m] = [b & 0x8000 ? -1 : 1, (b >> 10) & 31, b & 1023];
  if (e === 31) return sign * (m ? Number.NaN : Number.POSITIVE_INFINITY);
  return sign * (e ? (1 + m / 1024) * 2 ** (e - 15) : m * 2 ** -24);
}

describe('writing', () => {
  it.each(['F32', 'F16', 'BF16'] as FloatDtype[])(
    'gives the reference implementation’s bytes in %s',
    async (dtype) => {
      const source = await readSafetensors(join(fixtures, 'dtypes.safetensors'));
      const finite = (source.tensors.get('floats.f32')!.data as Float32Array).filter(Number.isFinite);
      const path = join(dir, `${dtype}.safetensors`);
      const { bytes } = await writeSafetensors(
        path,
        {
          'a.weight': { shape: [61], data: finite },
          'b.weight': { shape: [3, 4, 5], data: finite.subarray(0, 60) },
          A: { shape: [1], data: new Float32Array([1.5]) },
          step: { shape: [1], data: new BigInt64Array([5n]) },
          order: { shape: [3], data: new Int32Array([2, 0, 1]) },
          0: { shape: [1], data: new Uint8Array([9]) },
        },
        { dtype },
      );
      const written = await readFile(path);
      expect(written.length).toBe(bytes);
      expect(written.equals(await readFile(join(fixtures, `written-${dtype}.safetensors`)))).toBe(true);
    },
  );

  it('keeps all half values through a round trip', async () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const path = join(dir, 'half.safetensors');
    const header = JSON.stringify({ x: { dtype: 'F16', shape: [65536], data_offsets: [0, 131072] } });
    await writeFile(path, raw(header, new Uint8Array(bits.buffer)));
    const floats = (await readSafetensors(path)).tensors.get('x')!.data as Float32Array;
    const again = new Uint16Array(65536);
    toF16(floats, again);
    const differ = bits.filter((b, i) => !Number.isNaN(floats[i]) && again[i] !== b);
    expect(differ.length).toBe(0);
    expect(floats.filter(Number.isNaN).length).toBe(2 * 1023);
  });

  it('refuses values that overflow, wrong shapes and impossible places, and leaves nothing behind', async () => {
    const target = join(dir, 'refused');
    const big = { x: { shape: [1], data: new Float32Array([1e6]) } };
    await expect(writeSafetensors(join(target, 'x.safetensors'), big, { dtype: 'F16' })).rejects.toThrow(
      /too large for F16.*tensor x.*BF16/,
    );
    await writeSafetensors(join(target, 'y.safetensors'), big, { dtype: 'BF16' });
    await expect(
      writeSafetensors(join(target, 'x.safetensors'), { x: { shape: [2], data: new Float32Array(3) } }),
    ).rejects.toThrow(/3 elements for shape \[2\]/);
    await expect(writeSafetensors(join(target, 'y.safetensors/x.safetensors'), big)).rejects.toThrow(
      InputError,
    );
    expect(await readdir(target)).toEqual(['y.safetensors']);
  });

  it('leaves the old file when writing fails', async () => {
    const path = join(dir, 'kept.safetensors');
    await writeSafetensors(path, { x: { shape: [1], data: new Float32Array([1]) } });
    const before = await readFile(path);
    const bad = { x: { shape: [1], data: new Float32Array([1e6]) } };
    await expect(writeSafetensors(path, bad, { dtype: 'F16' })).rejects.toThrow(InputError);
    expect((await readFile(path)).equals(before)).toBe(true);
  });
});

function raw(header: string, data: Uint8Array, length = Buffer.byteLength(header)): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  return Buffer.concat([prefix, Buffer.from(header), data]);
}

describe('damaged and hostile files', () => {
  const x = (entry: object) =>
    JSON.stringify({ x: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...entry } });
  const cases: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /only 0 bytes/],
    ['header beyond the file', raw('{}', new Uint8Array(0), 1000), /claims 1000 bytes/],
    ['absurd header length', Buffer.alloc(16, 255), /claims 18446744073709551615 bytes/],
    ['no JSON', raw('{"x":', new Uint8Array(8)), /not JSON/],
    ['not UTF-8', Buffer.concat([raw('', new Uint8Array(0), 2), Buffer.from([0xff, 0xfe])]), /not JSON/],
    ['an array', raw('[]', new Uint8Array(0)), /not a JSON object/],
    ['null entry', raw('{"x":null}', new Uint8Array(0)), /unknown dtype/],
    ['unknown dtype', raw(x({ dtype: 'F7' }), new Uint8Array(8)), /unknown dtype "F7"/],
    ['inherited dtype', raw(x({ dtype: 'toString' }), new Uint8Array(8)), /unknown dtype/],
    ['negative shape', raw(x({ shape: [-2] }), new Uint8Array(8)), /no proper shape/],
    ['fractional shape', raw(x({ shape: [0.5, 4] }), new Uint8Array(8)), /no proper shape/],
    ['overflowing shape', raw(x({ shape: [2 ** 52, 2 ** 52] }), new Uint8Array(8)), /8 bytes where/],
    [
      'shape and bytes disagree',
      raw(x({ shape: [3] }), new Uint8Array(8)),
      /8 bytes where F32 \[3\] takes 12/,
    ],
    ['offsets backwards', raw(x({ data_offsets: [8, 0] }), new Uint8Array(8)), /no proper data_offsets/],
    ['truncated', raw(x({}), new Uint8Array(7)), /cut short \(7 bytes.*tells of 8/],
    ['trailing bytes', raw(x({}), new Uint8Array(9)), /1 bytes at its end/],
    ['metadata', raw('{"__metadata__":{"a":1}}', new Uint8Array(0)), /table of strings/],
    [
      'overlap',
      raw(
        '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
        new Uint8Array(6),
      ),
      /"y" overlaps/,
    ],
    [
      'hole',
      raw(
        '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"y":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}',
        new Uint8Array(9),
      ),
      /"y" leaves a hole/,
    ],
    [
      'a name twice',
      raw(
        '{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"x":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
        new Uint8Array(8),
      ),
      /hole/,
    ],
  ];
  it.each(cases)('refuses: %s', async (name, bytes, message) => {
    const path = join(dir, `${name}.safetensors`);
    await writeFile(path, bytes);
    const error = await readSafetensors(path).then(
      () => null,
      (e: unknown) => e as Error,
    );
    expect(error).toBeInstanceOf(InputError);
    expect(error!.message).toMatch(message);
    expect(error!.message).toContain(path);
    expect(error!.message).not.toContain('\n');
  });

  it('refuses missing files, folders and pickles in plain words', async () => {
    await expect(readSafetensors(join(dir, 'no.safetensors'))).rejects.toThrow(/no such file/);
    await expect(readSafetensors(dir)).rejects.toThrow(/a folder is where a file should be/);
    await expect(readSafetensors('model.bin')).rejects.toThrow(/pickle.*save_pretrained/);
  });

  it('refuses an index that points elsewhere or promises too much', async () => {
    const index = join(dir, 'a.safetensors.index.json');
    const refuse = async (content: object, message: RegExp) => {
      await writeFile(index, JSON.stringify(content));
      await expect(readSafetensors(index)).rejects.toThrow(message);
    };
    await refuse({}, /no weight_map/);
    await refuse({ weight_map: { x: '../F32.safetensors' } }, /no safetensors file beside it/);
    await refuse({ weight_map: { x: 'gone.safetensors' } }, /no such file/);
    await refuse({ weight_map: { x: 'F32.safetensors' } }, /lacks the tensor x/);
  });

  it('names a tensor whose dtype it cannot read', async () => {
    const path = join(dir, 'f8.safetensors');
    await writeFile(
      path,
      raw('{"x":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', new Uint8Array(4)),
    );
    await expect(readSafetensors(path)).rejects.toThrow(/tensor x has dtype F8_E4M3/);
  });
});
