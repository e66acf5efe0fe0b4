/** Which calls of a network run whole and which reuse deep features, against DeepCache's own rule. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Feed } from '../../src/engine/session.js';
import { Session } from '../../src/engine/session.js';
import { FeatureCache, type Rows } from '../../src/pipelines/forward.js';
import { DiffusionPipeline } from '../../src/pipelines/index.js';
import { labelled, temporaryFolder, writeTiny } from './tiny.js';

const at = temporaryFolder();
beforeAll(async () => {
  await writeTiny(at('model'), labelled);
  await writeTiny(at('flat'), {
    unet: { block_out_channels: [8], down_block_types: ['DownBlock2D'], up_block_types: ['UpBlock2D'] },
  });
}, 60_000);

const rowsAt = (timestep: number, count = 1): Rows => ({
  sample: { data: new Float32Array(count), shape: [count, 1, 1, 1], dtype: 'float32' },
  timesteps: { data: new Float32Array(count).fill(timestep), shape: [count], dtype: 'float32' },
});

/** A cache over runs that only say which kind they were: whole ones by a number of their own, others by whose deep part. */
function recording(interval: number) {
  const seen: string[] = [];
  let whole = 0;
  const runs = {
    runKeeping: async (rows: Rows) => {
      const deep: Feed = { data: Float32Array.of(whole), shape: [...rows.timesteps.shape], dtype: 'float32' };
      seen.push(`whole ${whole++}`);
      return { output: new Float32Array(1), deep };
    },
    runReusing: async (_: Rows, __: number, deep: Feed) => {
      seen.push(`with ${deep.data[0]}`);
      return new Float32Array(1);
    },
  };
  return { cache: new FeatureCache(runs, interval, 0), seen };
}

describe('feature caching', () => {
  // Uniform caching runs step i whole where i is a multiple of the interval (Ma et al. 2024, section 3.2).
  it.each([1, 2, 3, 5, 50])('with an interval of %i has DeepCache’s whole steps', async (interval) => {
    const { cache, seen } = recording(interval);
    const expected: string[] = [];
    for (let i = 0; i < 12; i++) {
      await cache.run(rowsAt(1000 - i));
      const last = Math.floor(i / interval);
      expected.push(i % interval === 0 ? `whole ${last}` : `with ${last}`);
    }
    expect(seen).toEqual(expected);
  });

  it('goes whole where rows come and go, and where a step is taken back', async () => {
    const { cache, seen } = recording(3);
    for (const [timestep, count] of [
      [900, 1],
      [800, 2], // Guidance begins.
      [700, 2],
      [600, 1], // It ends.
      [500, 1],
      [800, 1], // Back up, above what was kept.
      [700, 1],
      [600, 1],
      [500, 1],
    ])
      await cache.run(rowsAt(timestep, count));
    expect(seen).toEqual([
      'whole 0',
      'whole 1',
      'with 1',
      'whole 2',
      'with 2',
      'whole 3',
      'with 3',
      'with 3',
      'whole 4',
    ]);
  });

  it('serves a network of one level', async () => {
    const pipeline = await DiffusionPipeline.fromPretrained(at('flat'), { threads: 1 });
    const draw = async (cacheInterval: number) =>
      Buffer.from((await pipeline.generate({ steps: 6, cacheInterval }))[0].data);
    try {
      expect(await draw(1)).not.toEqual(await draw(3));
    } finally {
      await pipeline.dispose();
    }
  });
});

describe('sessions', () => {
  const { create } = Session;
  afterEach(() => {
    Session.create = create;
  });

  it('of all ways of drawing are freed, after a failure too', async () => {
    let [made, freed] = [0, 0];
    Session.create = async (...args: Parameters<typeof create>) => {
      const session = await create.apply(Session, args);
      made++;
      const dispose = session.dispose.bind(session);
      session.dispose = () => {
        freed++;
        return dispose();
      };
      return session;
    };
    const pipeline = await DiffusionPipeline.fromPretrained(at('model'), { threads: 1 });
    const base = { count: 3, steps: 4 };
    await pipeline.generate({ ...base, batchSize: 2, cacheInterval: 2 });
    const failing = pipeline.generate({
      ...base,
      batchSize: 3,
      cacheInterval: 2,
      onStep: ({ picture }) => {
        if (picture === 1) throw new Error('no more');
      },
    });
    await expect(failing).rejects.toThrow('no more');
    // Two pictures and then one, each whole and shallow, and three at the start.
    expect(made).toBe(5);
    await pipeline.dispose();
    expect(freed).toBe(made);
  });
});
