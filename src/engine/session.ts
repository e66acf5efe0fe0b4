/** ONNX Runtime sessions: made, run, freed. The only file that knows onnxruntime-node. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { InputError } from '../errors.js';
import type { DType, TypedArray } from './graph.js';
import type { EncodedModel } from './onnx.js';
import { executionProviders, type Provider, providerError } from './providers.js';
import type { Residents } from './residents.js';

export interface Feed {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: TypedArray;
}

type Ort = typeof import('onnxruntime-node');
let loaded: Promise<Ort> | undefined;

/** @throws InputError when the native library cannot be loaded on this machine */
export function loadOrt(): Promise<Ort> {
  loaded ??= import('onnxruntime-node').then(
    (module) => ('default' in module ? (module.default as Ort) : module),
    (error: Error) => {
      throw new InputError(
        `onnxruntime-node cannot be loaded — ${error.message.split('\n')[0]} — run "npm rebuild onnxruntime-node", or use --engine wasm or cpu`,
      );
    },
  );
  return loaded;
}

export interface SessionOptions {
  readonly provider?: Provider;
  readonly threads?: number;
  /** Names of nodes that the WebGPU provider leaves to the CPU. */
  readonly forCpu?: readonly string[];
  /** Outputs that stay on the device, where the provider can (WebGPU). */
  readonly resident?: Resident;
  /** Writes ONNX Runtime's profile to files that begin with this path. */
  readonly profile?: string;
  /**
   * Whether ONNX Runtime rewrites the graph for its own kernels (default). That takes half the time of making a session
   * and pays where weights are constants; training graphs come rewritten by Sumi, whose repeated nodes save memory.
   */
  readonly optimize?: boolean;
  /** ONNX Runtime as it comes, with none of Sumi's settings: how other programs would open the model. */
  readonly plain?: boolean;
}

export interface Resident {
  readonly names: readonly string[];
  readonly kept: Residents;
}

/** An input as ONNX files of any origin have it. */
export type RawFeed =
  | Feed
  | { readonly shape: readonly number[]; readonly dtype: 'int64'; readonly data: BigInt64Array };

/** Sumi's own graphs mark outputs, which may be called like inputs. */
const plainName = (output: string): string => output.replace(/:out$/, '');

const onDevice = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [`${name}:out`, 'gpu-buffer' as const]));

const EXTRA = {
  // It folds a Pad into the pooling after it even where the pad is as large as the kernel, which pooling refuses.
  optimization: { disable_specified_optimizers: 'Pad_Fusion' },
  // Threads that wait for the next run in a loop take a core from the sampler and from other sessions' runs.
  session: { force_spinning_stop: '1' },
};

export class Session {
  private constructor(
    private readonly ort: Ort,
    private readonly inner: InferenceSession,
    private readonly outputShapes: EncodedModel['outputShapes'],
    private readonly resident?: Resident,
  ) {}

  /** @param model an encoded model, or the bytes or the path of an .onnx file */
  static async create(
    model: EncodedModel | Uint8Array | string,
    options: SessionOptions = {},
  ): Promise<Session> {
    const {
      bytes: file,
      external,
      outputShapes,
    }: { bytes: Uint8Array | string } & Omit<EncodedModel, 'bytes'> = typeof model === 'object' &&
    'bytes' in model
      ? model
      : { bytes: model, external: [], outputShapes: {} };
    const ort = await loadOrt();
    const provider = options.provider ?? 'cpu';
    const resident = provider === 'webgpu' ? options.resident : undefined;
    const settings: InferenceSession.SessionOptions = {
      executionProviders: executionProviders(provider, options.forCpu),
      graphOptimizationLevel: options.optimize === false ? 'disabled' : 'all',
      // One block laid out for all values takes a quarter more memory, and no less time.
      enableMemPattern: options.plain === true,
      logSeverityLevel: 3,
      ...(options.plain ? {} : { extra: EXTRA }),
      ...(external.length > 0 ? { externalData: external } : {}),
      ...(resident ? { preferredOutputLocation: onDevice(resident.names) } : {}),
      ...(options.threads ? { intraOpNumThreads: options.threads } : {}),
      ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
    };
    try {
      // The library has one signature for bytes and one for paths.
      const inner = await ort.InferenceSession.create(file as string, settings);
      return new Session(ort, inner, outputShapes, resident);
    } catch (error) {
      throw providerError(provider, error as Error);
    }
  }

  /**
   * Runs the model.
   * @param into arrays that receive the outputs of those names (resident outputs, all of which must be named, only
   *   in name: see Residents); the other outputs come in fresh arrays
   */
  async run(
    feeds: Readonly<Record<string, Feed>>,
    into: Readonly<Record<string, Feed>> = {},
  ): Promise<Record<string, TypedArray>> {
    const { names = [], kept } = this.resident ?? {};
    const given: Record<string, OrtTensor> = {};
    for (const [name, feed] of Object.entries(feeds)) given[name] = kept?.get(feed.data) ?? this.tensor(feed);
    const fetches: Record<string, OrtTensor | null> = {};
    for (const output of this.inner.outputNames) {
      const name = plainName(output);
      const target = names.includes(name) ? undefined : into[name];
      const shape = this.outputShapes[output] ?? target?.shape;
      fetches[output] = target ? this.tensor({ ...target, shape }) : null;
    }
    const results = await this.inner.run(given, fetches as InferenceSession.FetchesType);
    const arrays: Record<string, TypedArray> = {};
    for (const [output, value] of Object.entries(results)) {
      const [name, tensor] = [plainName(output), value as OrtTensor];
      if (names.includes(name)) kept?.set(into[name].data, tensor);
      arrays[name] = names.includes(name) ? into[name].data : (tensor.data as TypedArray);
    }
    return arrays;
  }

  /** Runs the model for its outputs with their shapes. */
  async runWithShapes(
    feeds: Readonly<Record<string, RawFeed>>,
  ): Promise<Record<string, { readonly data: TypedArray; readonly dims: readonly number[] }>> {
    const given = Object.entries(feeds).map(([name, feed]) => [name, this.tensor(feed)]);
    const results = await this.inner.run(Object.fromEntries(given));
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => {
        const { data, dims } = tensor as OrtTensor;
        return [plainName(name), { data: data as TypedArray, dims }];
      }),
    );
  }

  private tensor({ dtype, data, shape }: RawFeed): OrtTensor {
    return new this.ort.Tensor(dtype as 'float32', data as never, shape as number[]);
  }

  endProfiling(): void {
    this.inner.endProfiling();
  }

  async dispose(): Promise<void> {
    await this.inner.release();
  }
}
