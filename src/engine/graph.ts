/**
 * The graph that the tracer records and every later stage works on: plain data, no behaviour. Values are in
 * tfjs's logical shapes (channels-last); physical layouts only appear when the graph is lowered.
 */
export type DType = 'float32' | 'int32' | 'bool';
export type TypedArray = Float32Array | Int32Array | Uint8Array;

export interface Value {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Present for constants. */
  readonly constant?: Constant;
}

/** A constant's elements; `uniform` holds the one number that all elements are, and then `data` is absent. */
export interface Constant {
  readonly data?: TypedArray;
  readonly uniform?: number;
}

export interface Node {
  readonly op: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly attrs: Readonly<Record<string, unknown>>;
  /** Where the model's code called the operation; formatted only when an error needs it. */
  readonly at?: Error;
}

export interface Graph {
  readonly values: Value[];
  readonly nodes: Node[];
  /** Value ids by name. */
  readonly inputs: Readonly<Record<string, number>>;
  readonly outputs: Readonly<Record<string, number>>;
}

export function sizeOf(shape: readonly number[]): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** The elements of a constant as an array, whichever way they are held. */
export function constantData(value: Value): TypedArray {
  const { constant, shape, dtype } = value;
  if (!constant) throw new Error(`value ${value.id} is not a constant`);
  if (constant.data) return constant.data;
  const n = sizeOf(shape);
  const array =
    dtype === 'float32' ? new Float32Array(n) : dtype === 'int32' ? new Int32Array(n) : new Uint8Array(n);
  return array.fill(constant.uniform ?? 0);
}

/** "model.ts:12:5 (unet2d)" of the first frame outside the engine and tfjs, or '' when there is none. */
export function callSite(at: Error | undefined): string {
  const frames = (at?.stack ?? '').split('\n').slice(1);
  const frame = frames.find(
    (f) => !/node_modules|[\\/]src[\\/]engine[\\/]|node:internal|<anonymous>\)$/.test(f),
  );
  if (!frame) return '';
  const match = /at (?:(.+?) \()?(?:file:\/\/)?([^()]+:\d+:\d+)\)?/.exec(frame.trim());
  return match ? `${match[2]}${match[1] ? ` (${match[1]})` : ''}` : frame.trim();
}
