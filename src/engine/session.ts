/** ONNX Runtime sessions: made, run, freed. The only file that knows onnxruntime-node. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { InputError } from '../errors.js';
import type { DType, TypedArray } from './graph.js';
import type { EncodedModel } from './onnx.js';

/** ONNX Runtime's execution providers that Sumi asks for. */
export type Provider = 'cpu' | 'webgpu' | 'cuda';

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

/** An input as ONNX files of any origin have it. */
export type RawFeed =
  | Feed
  | { readonly shape: readonly number[]; readonly dtype: 'int64'; readonly data: BigInt64Array };

/** Sumi's own graphs mark outputs, which may be called like inputs. */
const plainName = (output: string): string => output.replace(/:out$/, '');

export class Session {
  private constructor(
    private readonly ort: Ort,
    private readonly inner: InferenceSession,
  ) {}

  /** @param model an encoded model, or the bytes or the path of an .onnx file */
  static async create(
    model: EncodedModel | Uint8Array | string,
    options: SessionOptions = {},
  ): Promise<Session> {
    const { bytes: file, external = [] } =
      typeof model === 'object' && 'bytes' in model ? model : { bytes: model };
    const ort = await loadOrt();
    const provider = options.provider ?? 'cpu';
    const settings: InferenceSession.SessionOptions = {
      executionProviders: provider === 'cpu' ? ['cpu'] : [provider, 'cpu'],
      graphOptimizationLevel: options.optimize === false ? 'disabled' : 'all',
      // One block laid out for all values takes a quarter more memory, and no less time.
      enableMemPattern: options.plain === true,
      logSeverityLevel: 3,
      // It folds a Pad into the pooling after it even where the pad is as large as the kernel, which pooling refuses.
      ...(options.plain ? {} : { extra: { optimization: { disable_specified_optimizers: 'Pad_Fusion' } } }),
      ...(external.length > 0 ? { externalData: external } : {}),
      ...(options.threads ? { intraOpNumThreads: options.threads } : {}),
      ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
    };
    try {
      // The library has one signature for bytes and one for paths.
      return new Session(ort, await ort.InferenceSession.create(file as string, settings));
    } catch (error) {
      throw provider === 'cpu' ? error : providerError(provider, error as Error);
    }
  }

  /**
   * Runs the model.
   * @param into arrays that receive the outputs of those names; the other outputs come in fresh arrays
   */
  async run(
    feeds: Readonly<Record<string, Feed>>,
    into: Readonly<Record<string, Feed>> = {},
  ): Promise<Record<string, TypedArray>> {
    const given: Record<string, OrtTensor> = {};
    for (const [name, feed] of Object.entries(feeds)) given[name] = this.tensor(feed);
    const fetches: Record<string, OrtTensor | null> = {};
    for (const name of this.inner.outputNames) {
      const target = into[plainName(name)];
      fetches[name] = target ? this.tensor(target) : null;
    }
    const results = await this.inner.run(given, fetches as InferenceSession.FetchesType);
    const arrays: Record<string, TypedArray> = {};
    for (const [name, tensor] of Object.entries(results)) {
      arrays[plainName(name)] = (tensor as OrtTensor).data as TypedArray;
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

/** Why a GPU provider did not start, as the user can mend it. */
function providerError(provider: 'webgpu' | 'cuda', error: Error): Error {
  if (provider === 'webgpu' && /adapter/i.test(error.message)) {
    return new InputError(
      'engine webgpu — no GPU that Vulkan, Metal or Direct3D 12 can use was found — install its driver (on Debian also libvulkan1), or use --engine onnx',
    );
  }
  if (provider === 'cuda' && /libcu|cudnn|cuda.*(driver|device)|providers_cuda/i.test(error.message)) {
    return new InputError(
      'engine cuda — CUDA did not start — install a driver, CUDA 12 and cuDNN 9 for it, or use --engine onnx',
    );
  }
  return error;
}
