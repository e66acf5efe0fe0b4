/** Runs of a U-Net's rows: whole, or with its deep part's features kept from an earlier step. */
import { Compiled, type CompileOptions, type TensorFunction } from '../engine/compile.js';
import type { Params } from '../engine/params.js';
import type { Feed } from '../engine/session.js';
import type { Tensor, Tensor4D } from '../engine/tf.js';
import type { UNetInputs, UNetNetwork } from '../unet/index.js';
import { asConstants } from './constants.js';

/** The inputs of a U-Net by name, one row a prediction: `sample`, `timesteps`, and `labels` or `context` where it has them. */
export type Rows = Readonly<Record<string, Feed>>;

/** Runs rows through a network. */
export interface Forward {
  /** @returns [rows, height, width, out_channels] */
  run(rows: Rows): Promise<Float32Array>;
}

/** How many rows there are. */
export const countRows = (rows: Rows): number => rows.timesteps.shape[0];

/** The sessions of a network; each is made when it is first needed, and holds the weights that it uses. */
export class NetworkRuns implements Forward {
  private readonly compiled = new Map<string, Compiled>();

  constructor(
    readonly network: UNetNetwork,
    private readonly params: Float32Array,
    private readonly options: CompileOptions = {},
  ) {}

  async run(rows: Rows): Promise<Float32Array> {
    const session = this.session('whole', ({ sample, timesteps, labels, context, ...weights }) => ({
      output: this.network.predict(weights as Params, { sample, timesteps, labels, context } as UNetInputs),
    }));
    return (await session.run(rows)).output as Float32Array;
  }

  /** Runs the whole network and keeps what its deep part gives. @throws InputError for a branch there is not */
  async runKeeping(rows: Rows, branch: number): Promise<{ output: Float32Array; deep: Feed }> {
    const [, height, width] = rows.sample.shape;
    const shape = [countRows(rows), ...this.network.deepShape(branch, [height, width])];
    const session = this.session(
      `keeping ${branch}`,
      ({ sample, timesteps, labels, context, ...weights }) => {
        const inputs = { sample, timesteps, labels, context } as UNetInputs;
        return this.network.predictCut(weights as Params, inputs, { branch });
      },
    );
    const { output, deep } = await session.run(rows);
    return { output: output as Float32Array, deep: { data: deep, shape, dtype: 'float32' } };
  }

  /** Runs the shallow part alone. @param deep of an earlier `runKeeping` of as many rows */
  async runReusing(rows: Rows, branch: number, deep: Feed): Promise<Float32Array> {
    const session = this.session(
      `reusing ${branch}`,
      ({ sample, timesteps, labels, context, kept, ...weights }) => {
        const inputs = { sample, timesteps, labels, context } as UNetInputs;
        const cut = { branch, deep: kept as Tensor4D };
        return { output: this.network.predictCut(weights as Params, inputs, cut).output };
      },
    );
    return (await session.run({ ...rows, kept: deep })).output as Float32Array;
  }

  private session(kind: string, fn: TensorFunction): Compiled {
    const known = this.compiled.get(kind);
    if (known) return known;
    const constants = asConstants(this.network.specs, this.params);
    const traced = (inputs: Record<string, Tensor>) => fn(inputs);
    const made = new Compiled(traced, { name: 'denoiser', ...this.options, constants });
    this.compiled.set(kind, made);
    return made;
  }

  async dispose(): Promise<void> {
    for (const session of this.compiled.values()) await session.dispose();
    this.compiled.clear();
  }
}

/**
 * Runs of successive steps that share deep features (DeepCache; Ma, Fang & Wang 2024, "DeepCache: Accelerating Diffusion
 * Models for Free", uniform caching): one call in `interval` runs the whole network, the others its shallow part with
 * what the deep part gave last. Calls are counted, not steps: a solver that calls twice a step has every second of its
 * calls whole with an interval of 2. A call goes whole out of turn where nothing fits: other rows than before (guidance
 * that comes and goes), or a timestep that is noisier than what was kept (inpainting that takes steps back).
 */
export class FeatureCache implements Forward {
  private kept: { readonly deep: Feed; readonly timestep: number } | null = null;
  /** Calls since the last whole one, itself included. */
  private age = 0;

  /** @param interval from 1, @param branch as `Cut` has it */
  constructor(
    private readonly runs: Pick<NetworkRuns, 'runKeeping' | 'runReusing'>,
    private readonly interval: number,
    private readonly branch: number,
  ) {}

  async run(rows: Rows): Promise<Float32Array> {
    const timestep = rows.timesteps.data[0];
    const { kept } = this;
    const fits = kept && kept.deep.shape[0] === countRows(rows) && timestep <= kept.timestep;
    if (fits && this.age < this.interval) {
      this.age++;
      return this.runs.runReusing(rows, this.branch, kept.deep);
    }
    const { output, deep } = await this.runs.runKeeping(rows, this.branch);
    this.kept = { deep, timestep };
    this.age = 1;
    return output;
  }
}
