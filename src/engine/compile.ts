/**
 * `compile`: jit() for tfjs. A function of named tensors is traced, simplified, lowered and run by ONNX Runtime,
 * or run eagerly on a tfjs backend: the same function, the same result, by the name of an engine.
 */
import { debug } from '../debug.js';
import { backendsSettled, type Engine, isCompiled, requireEngine, useEagerBackend } from './engines.js';
import type { Graph, TypedArray } from './graph.js';
import { sizeOf } from './graph.js';
import { lower } from './lower/index.js';
import { requireMemory } from './memory.js';
import { type EncodedModel, encodeModel } from './onnx.js';
import { loweringFor, nodesForCpu, type Provider } from './providers.js';
import { type Precision, quantizeConvolutions } from './quantize.js';
import { recomputed } from './recompute.js';
import { identityModel, Residents } from './residents.js';
import { inOrder } from './schedule.js';
import { type Feed, Session } from './session.js';
import { simplify } from './simplify.js';
import { type Tensor, tf } from './tf.js';
import { type Spec, trace } from './tracer.js';

/** A function of tensors by name, written in tfjs operations: pure, and without reading values. */
export type TensorFunction = (inputs: Record<string, Tensor>) => Record<string, Tensor>;

export interface CompileOptions {
  /** Default 'onnx'. */
  readonly engine?: Engine;
  /** Arrays the function gets as further tensors, fixed for good: weights for inference, which compile best. */
  readonly constants?: Readonly<Record<string, Feed>>;
  /** 'int8' computes convolutions with constant filters in 8-bit integers; engine onnx alone. Default 'fp32'. */
  readonly precision?: Precision;
  /** Threads of ONNX Runtime's CPU provider; all cores by default. */
  readonly threads?: number;
  /** Told what is being built, before a build that may take a second or more. */
  readonly onBuild?: (what: string) => void;
  readonly name?: string;
  readonly profile?: string;
  /**
   * Outputs of which `run` always gets arrays to write `into`, and which may stay on the device that computes: `read`
   * brings the arrays up to date, and a run that has such an array as an input takes the device's elements.
   */
  readonly resident?: readonly string[];
}

/** The traced and simplified graph of a function, for export and for curious eyes. */
export function graphOf(
  fn: TensorFunction,
  inputs: Readonly<Record<string, Spec>>,
  options: CompileOptions = {},
): Graph {
  const report = debug('graph')
    ? (pass: string, n: number) => console.error(`sumi graph: ${options.name ?? 'fn'}: ${pass}: ${n} nodes`)
    : undefined;
  return simplify(trace(fn, inputs, options.constants), report);
}

/**
 * A function that runs on one engine. Graphs are built at the first call with inputs of given shapes and dtypes
 * and kept until `dispose`.
 */
export class Compiled {
  private readonly sessions = new Map<string, Promise<Session>>();
  private readonly engine: Engine;
  private readonly kept = new Residents();
  private eagerConstants?: Record<string, Tensor>;

  constructor(
    private readonly fn: TensorFunction,
    private readonly options: CompileOptions = {},
  ) {
    this.engine = options.engine ?? 'onnx';
  }

  /**
   * @param inputs arrays with shapes and dtypes, by name
   * @param into arrays that receive outputs in place (compiled engines write straight into them)
   * @returns the outputs by name
   */
  async run(
    inputs: Readonly<Record<string, Feed>>,
    into: Readonly<Record<string, Feed>> = {},
  ): Promise<Record<string, TypedArray>> {
    for (const [name, feed] of Object.entries(inputs)) {
      if (feed.data.length !== sizeOf(feed.shape)) {
        throw new Error(
          `input ${name} has ${feed.data.length} elements, its shape [${feed.shape}] wants ${sizeOf(feed.shape)}`,
        );
      }
    }
    return isCompiled(this.engine)
      ? (await this.session(inputs)).run(inputs, into)
      : this.eager(inputs, into);
  }

  /** Brings arrays that outputs were written into up to date, where these stayed on the device. */
  async read(feeds: readonly Feed[]): Promise<void> {
    for (const feed of feeds.filter(({ data }) => this.kept.isStale(data))) {
      const key = `read ${feed.dtype}[${feed.shape}]`;
      const model = identityModel(feed.dtype, feed.shape);
      const reader = await this.cached(key, () => this.open(model, []));
      await reader.run({ x: feed }, { y: feed });
      this.kept.refreshed(feed.data);
    }
  }

  private session(inputs: Readonly<Record<string, Spec>>): Promise<Session> {
    const key = Object.entries(inputs)
      .map(([name, { shape, dtype }]) => `${name}:${dtype}[${shape}]`)
      .join(' ');
    return this.cached(key, () => this.build(inputs));
  }

  private cached(key: string, make: () => Promise<Session>): Promise<Session> {
    let session = this.sessions.get(key);
    if (!session) {
      session = make();
      this.sessions.set(key, session);
      session.catch(() => this.sessions.delete(key));
    }
    return session;
  }

  private async build(inputs: Readonly<Record<string, Spec>>): Promise<Session> {
    const { name = 'function', onBuild } = this.options;
    requireEngine(this.engine);
    onBuild?.(name);
    await backendsSettled();
    const start = performance.now();
    const graph = this.prepared(graphOf(this.fn, inputs, this.options));
    requireMemory(graph, name);
    const traced = performance.now();
    const onnx = lower(graph, { ...loweringFor(providerOf(this.engine)), unshaped: this.asWritten });
    const model = this.asWritten ? encodeModel(inOrder(onnx), { shapes: false }) : encodeModel(onnx);
    const lowered = performance.now();
    const session = await this.open(model, this.options.resident ?? [], nodesForCpu(onnx));
    if (debug('time')) {
      const ms = (a: number, b: number) => `${(b - a).toFixed(0)} ms`;
      console.error(
        `sumi time: ${name}: trace ${ms(start, traced)}, lower ${ms(traced, lowered)}, session ${ms(lowered, performance.now())}`,
      );
    }
    return session;
  }

  private prepared(graph: Graph): Graph {
    if (this.options.precision === 'int8') return quantizeConvolutions(graph);
    return this.asWritten ? recomputed(graph) : graph;
  }

  /** Whether the graph runs on the CPU as Sumi wrote it: a training step's, which repeats nodes to save memory. */
  private get asWritten(): boolean {
    return this.engine === 'onnx' && this.options.constants === undefined;
  }

  private open(model: EncodedModel, names: readonly string[], forCpu?: readonly string[]): Promise<Session> {
    const provider = providerOf(this.engine);
    const { threads, profile } = this.options;
    return Session.create(model, {
      provider,
      threads,
      profile,
      forCpu,
      optimize: !this.asWritten,
      resident: { names, kept: this.kept },
    });
  }

  private async eager(
    inputs: Readonly<Record<string, Feed>>,
    into: Readonly<Record<string, Feed>>,
  ): Promise<Record<string, TypedArray>> {
    await useEagerBackend(this.engine);
    this.eagerConstants ??= tensors(this.options.constants ?? {});
    const given = tensors(inputs);
    const outputs = tf.tidy(() => this.fn({ ...this.eagerConstants, ...given }));
    const arrays: Record<string, TypedArray> = {};
    for (const [name, tensor] of Object.entries(outputs)) {
      const data = (await tensor.data()) as TypedArray;
      const target = into[name]?.data;
      if (target) target.set(data);
      arrays[name] = target ?? data;
    }
    tf.dispose([outputs, given] as never);
    return arrays;
  }

  endProfiling(): void {
    for (const session of this.sessions.values()) void session.then((s) => s.endProfiling());
  }

  /** Frees every session and tensor. */
  async dispose(): Promise<void> {
    if (this.eagerConstants) tf.dispose(this.eagerConstants as never);
    this.eagerConstants = undefined;
    this.kept.dispose();
    const sessions = await Promise.allSettled(this.sessions.values());
    this.sessions.clear();
    for (const s of sessions) if (s.status === 'fulfilled') await s.value.dispose();
  }
}

const providerOf = (engine: Engine): Provider => (engine === 'onnx' ? 'cpu' : (engine as Provider));

function tensors(feeds: Readonly<Record<string, Feed>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { data, shape, dtype }]) => [
      name,
      tf.tensor(data as never, [...shape], dtype),
    ]),
  );
}
