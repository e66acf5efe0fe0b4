/**
 * Records what a function of tensors does. A tfjs backend whose "memory" is graph values: every kernel that
 * tfjs dispatches (the forward pass, autodiff and the optimizer alike) becomes a node, nothing is computed.
 */
import {
  type Constant,
  callSite,
  type DType,
  type Graph,
  type Node,
  sizeOf,
  type TypedArray,
  type Value,
} from './graph.js';
import { TRACE_BACKEND } from './ops.js';
import { type Attrs, inferShapes, kernelNames } from './shapes.js';
import { type Tensor, tf } from './tf.js';

/** A shape and a dtype: what the tracer needs to know of an input. */
export interface Spec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export class TraceError extends Error {
  override name = 'TraceError';
}

type Recording = { values: Value[]; nodes: Node[] };

class TraceBackend extends tf.KernelBackend {
  recording: Recording = { values: [], nodes: [] };
  private data = new Map<object, Value>();

  start(): Recording {
    this.recording = { values: [], nodes: [] };
    this.data = new Map();
    return this.recording;
  }

  newValue(shape: readonly number[], dtype: DType, constant?: Constant): { dataId: object; value: Value } {
    const value: Value = { id: this.recording.values.length, shape: [...shape], dtype, constant };
    this.recording.values.push(value);
    const dataId = {};
    this.data.set(dataId, value);
    return { dataId, value };
  }

  lookup(dataId: object): Value {
    const value = this.data.get(dataId);
    if (!value) {
      const site = callSite(new Error());
      throw new TraceError(
        `a tensor from outside the compiled function was used in it${site ? ` — ${site}` : ''} — pass it in as an input or a constant, or make it inside`,
      );
    }
    return value;
  }

  override write(values: TypedArray, shape: number[], dtype: DType): object {
    return this.newValue(shape, dtype, toConstant(values, shape, dtype)).dataId;
  }

  override move(dataId: object, values: TypedArray, shape: number[], dtype: DType): void {
    const value: Value = {
      id: this.recording.values.length,
      shape: [...shape],
      dtype,
      constant: toConstant(values, shape, dtype),
    };
    this.recording.values.push(value);
    this.data.set(dataId, value);
  }

  override readSync(): never {
    const site = callSite(new Error());
    throw new TraceError(
      `a tensor's value was read while tracing${site ? ` — ${site}` : ''} — compiled functions may not depend on values: use tf.where or pass the number in`,
    );
  }
  override async read(): Promise<never> {
    return this.readSync();
  }
  override disposeData(): boolean {
    return true;
  }
  override refCount(): number {
    return 1;
  }
  override incRef(): void {}
  decRef(): void {}
  override numDataIds(): number {
    return 0;
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override timerAvailable(): boolean {
    return false;
  }
}

function toConstant(
  values: TypedArray | number[] | undefined,
  shape: readonly number[],
  dtype: DType,
): Constant {
  if (!values || values.length === 0) return { uniform: 0 };
  const first = values[0];
  let i = 1;
  while (i < values.length && values[i] === first) i++;
  if (i === values.length && (sizeOf(shape) > 1 || shape.length === 0)) return { uniform: Number(first) };
  if (ArrayBuffer.isView(values)) return { data: values as TypedArray };
  const data =
    dtype === 'float32'
      ? Float32Array.from(values)
      : dtype === 'int32'
        ? Int32Array.from(values)
        : Uint8Array.from(values);
  return { data };
}

let backend: TraceBackend | undefined;

function theBackend(): TraceBackend {
  if (backend) return backend;
  const created = new TraceBackend();
  backend = created;
  tf.registerBackend(TRACE_BACKEND, () => created, 0);
  const known = new Set([...kernelNames, 'ZerosLike', 'OnesLike', 'Fill']);
  for (const kernelName of kernelNames) {
    tf.registerKernel({
      kernelName,
      backendName: TRACE_BACKEND,
      kernelFunc: ({ inputs, attrs }) =>
        record(created, kernelName, inputs as never, (attrs ?? {}) as Attrs) as never,
    });
  }
  for (const { kernelName } of tf.getKernelsForBackend('cpu')) {
    if (!known.has(kernelName))
      tf.registerKernel({
        kernelName,
        backendName: TRACE_BACKEND,
        kernelFunc: () => unsupported(kernelName),
      });
  }
  const constantLike =
    (fill: number) =>
    ({ inputs }: { inputs: unknown }) => {
      const { x } = inputs as { x: Tensor };
      const { dataId } = created.newValue(x.shape, x.dtype as DType, { uniform: fill });
      return { dataId, shape: x.shape, dtype: x.dtype } as never;
    };
  tf.registerKernel({ kernelName: 'ZerosLike', backendName: TRACE_BACKEND, kernelFunc: constantLike(0) });
  tf.registerKernel({ kernelName: 'OnesLike', backendName: TRACE_BACKEND, kernelFunc: constantLike(1) });
  tf.registerKernel({
    kernelName: 'Fill',
    backendName: TRACE_BACKEND,
    kernelFunc: ({ attrs }) => {
      const {
        shape,
        value,
        dtype = 'float32',
      } = attrs as never as { shape: number[]; value: number; dtype?: DType };
      return { dataId: created.newValue(shape, dtype, { uniform: value }).dataId, shape, dtype } as never;
    },
  });
  return created;
}

function unsupported(kernel: string): never {
  const site = callSite(new Error());
  throw new TraceError(
    `operation ${kernel} cannot be compiled${site ? ` — ${site}` : ''} — write it with other operations, or use --engine cpu, wasm or tensorflow`,
  );
}

function record(b: TraceBackend, op: string, inputs: Record<string, Tensor | Tensor[]>, attrs: Attrs) {
  const tensors = Object.values(inputs).flat().filter(Boolean);
  const values = tensors.map((t) => b.lookup(t.dataId));
  const at = new Error();
  let infos: ReturnType<typeof inferShapes>;
  try {
    infos = inferShapes(op, values, attrs);
  } catch (error) {
    throw new TraceError(`${op}: ${(error as Error).message} — ${callSite(at)}`);
  }
  const made = infos.map((info) => ({ info, ...b.newValue(info.shape, info.dtype) }));
  b.recording.nodes.push({
    op,
    inputs: values.map((v) => v.id),
    outputs: made.map((m) => m.value.id),
    attrs,
    at,
  });
  const result = made.map(({ info, dataId }) => ({ dataId, shape: [...info.shape], dtype: info.dtype }));
  return result.length === 1 && op !== 'SplitV' && op !== 'Unpack' ? result[0] : result;
}

/**
 * Runs `fn` once on symbolic tensors and returns the graph of what it did.
 * @param inputs the shapes and dtypes of the function's inputs, by name
 * @param constants named arrays that the function sees as tensors and the graph holds as constants
 * @throws TraceError when the function uses an operation that cannot be compiled or reads a value
 */
export function trace(
  fn: (inputs: Record<string, Tensor>) => Record<string, Tensor>,
  inputs: Readonly<Record<string, Spec>>,
  constants: Readonly<Record<string, Spec & { data: TypedArray }>> = {},
): Graph {
  const b = theBackend();
  const engine = tf.engine();
  const previous = engine.backendName ?? 'cpu';
  const recording = b.start();
  const savedLimit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  void tf.setBackend(TRACE_BACKEND);
  try {
    const ids: Record<string, number> = {};
    const outputs: Record<string, number> = {};
    tf.tidy(() => {
      const symbols: Record<string, Tensor> = {};
      for (const [name, spec] of Object.entries(inputs)) {
        const { dataId, value } = b.newValue(spec.shape, spec.dtype);
        ids[name] = value.id;
        symbols[name] = engine.makeTensorFromDataId(dataId, [...spec.shape], spec.dtype, b) as Tensor;
      }
      for (const [name, spec] of Object.entries(constants)) {
        symbols[name] = engine.makeTensor(spec.data as never, [...spec.shape], spec.dtype, b) as Tensor;
      }
      for (const [name, tensor] of Object.entries(fn(symbols))) outputs[name] = b.lookup(tensor.dataId).id;
    });
    return { ...recording, inputs: ids, outputs };
  } finally {
    Error.stackTraceLimit = savedLimit;
    void tf.setBackend(previous);
  }
}
