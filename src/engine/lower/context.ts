/**
 * The state of a lowering: ONNX nodes written so far, and for every graph value the physical tensors that hold
 * it. A layout is a permutation: physical dimension j holds the value's logical axis layout[j], so NCHW data of
 * an [N, H, W, C] value has layout [0, 3, 1, 2] and a tfjs transpose costs nothing until a kernel demands
 * another order.
 */
import { constantData, type DType, type Graph, sizeOf, type TypedArray, type Value } from '../graph.js';
import type { Attribute, ElementName, Initializer, OnnxNode } from '../onnx.js';

export interface Physical {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layout: readonly number[];
  /** Elements in physical order, for constants. */
  readonly data?: TypedArray;
}

export const identity = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i);
export const equal = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

/** [N, H, W, C] held as N, C, H, W: what ONNX Runtime's convolutions want. */
export const NCHW = [0, 3, 1, 2];
/** A tfjs filter [kh, kw, I, O] held as O, I, kh, kw: how diffusers stores it. */
export const OIHW = [3, 2, 0, 1];

export class Lowering {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: Initializer[] = [];
  private readonly physical = new Map<number, Physical[]>();
  private readonly made = new Map<string, string>();
  /** What reshaped tensors were before, where that is known. */
  private readonly flat = new Map<string, { readonly name: string; readonly shape: readonly number[] }>();
  private counter = 0;

  /**
   * @param standard whether only operators of the ONNX standard are written, none of ONNX Runtime's own
   * @param carefulNorms see LowerOptions
   * @param direct see LowerOptions
   */
  constructor(
    readonly graph: Graph,
    readonly standard = false,
    readonly carefulNorms = false,
    readonly direct = standard,
  ) {}

  value(id: number): Value {
    return this.graph.values[id];
  }

  freshName(hint: string): string {
    return `${hint}.${this.counter++}`;
  }

  /** Writes one ONNX node and returns the name of its first output. */
  emit(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    return this.emitMany(op, inputs, attrs, 1, domain)[0];
  }

  emitMany(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, Attribute>>,
    count: number,
    domain = '',
  ): string[] {
    const outputs = Array.from({ length: count }, () => this.freshName(op));
    this.nodes.push({ op, domain, inputs, outputs, attrs });
    return outputs;
  }

  /**
   * Makes tensors the model's outputs, the last thing in a lowering. A node's result is renamed, which costs nothing;
   * what is an input, a constant or an output already is copied.
   * @param finals the outputs' names with those of their tensors
   */
  output(finals: Readonly<Record<string, string>>): void {
    const made = new Set(this.nodes.flatMap((node) => node.outputs));
    const renamed = new Map<string, string>();
    for (const [final, name] of Object.entries(finals)) {
      if (made.has(name) && !renamed.has(name)) renamed.set(name, final);
      else this.nodes.push({ op: 'Identity', domain: '', inputs: [name], outputs: [final], attrs: {} });
    }
    const rename = (names: readonly string[]) => names.map((name) => renamed.get(name) ?? name);
    this.nodes.forEach((node, i) => {
      this.nodes[i] = { ...node, inputs: rename(node.inputs), outputs: rename(node.outputs) };
    });
  }

  /** A tensor that is written once for all who ask for `key`. */
  memo(key: string, make: () => string): string {
    const known = this.made.get(key);
    if (known) return known;
    const name = make();
    this.made.set(key, name);
    return name;
  }

  initializer(type: ElementName, shape: readonly number[], data: Initializer['data']): string {
    const make = () => {
      const name = this.freshName('const');
      this.initializers.push({ name, shape, type, data });
      return name;
    };
    if (data.length > 64) return make();
    return this.memo(`${type}[${shape}]${Array.from(data as ArrayLike<number | bigint>).join()}`, make);
  }

  ints(values: readonly number[]): string {
    return this.initializer('int64', [values.length], BigInt64Array.from(values.map(BigInt)));
  }

  scalar(value: number, dtype: DType = 'float32'): string {
    const data =
      dtype === 'float32'
        ? Float32Array.of(value)
        : dtype === 'int32'
          ? Int32Array.of(value)
          : Uint8Array.of(value);
    return this.initializer(dtype, [], data);
  }

  /** Declares that `name` holds graph value `id` in `layout`. */
  bind(id: number, name: string, layout: readonly number[]): Physical {
    const made: Physical = { name, layout, shape: layout.map((axis) => this.value(id).shape[axis]) };
    this.physical.set(id, [...(this.physical.get(id) ?? []), made]);
    return made;
  }

  isConstant(id: number): boolean {
    return this.value(id).constant !== undefined;
  }

  /** The value in whatever layout it was made. */
  native(id: number): Physical {
    const known = this.physical.get(id);
    if (known) return known[0];
    const value = this.value(id);
    if (!value.constant) throw new Error(`value ${id} was used before it was made`);
    return this.constant(value, identity(value.shape.length));
  }

  private constant(value: Value, layout: readonly number[]): Physical {
    const shape = layout.map((axis) => value.shape[axis]);
    const { uniform } = value.constant!;
    // A large array of one number is spread at run time instead of being stored.
    if (uniform !== undefined && sizeOf(shape) > 4096) {
      const name = this.emit('Expand', [this.scalar(uniform, value.dtype), this.ints(shape)]);
      return this.bind(value.id, name, layout);
    }
    const data = permuteData(constantData(value), value.shape, layout);
    const name = this.initializer(value.dtype, shape, data);
    const made: Physical = { name, layout, shape, data };
    this.physical.set(value.id, [...(this.physical.get(value.id) ?? []), made]);
    return made;
  }

  /** The value in the given layout: transposed once when it is not there yet, at compile time for constants. */
  as(id: number, layout: readonly number[]): Physical {
    const known = this.physical.get(id)?.find((p) => equal(p.layout, layout));
    if (known) return known;
    const value = this.value(id);
    if (value.constant) return this.constant(value, layout);
    const from = this.native(id);
    const perm = layout.map((axis) => from.layout.indexOf(axis));
    // Moving only dimensions of size one is a reshape.
    const order = (l: readonly number[]) => l.filter((axis) => value.shape[axis] !== 1);
    const name = equal(order(from.layout), order(layout))
      ? this.emit('Reshape', [from.name, this.ints(layout.map((axis) => value.shape[axis]))])
      : this.emit('Transpose', [from.name], { perm });
    return this.bind(id, name, layout);
  }

  /** The value in its own axes' order. */
  plain(id: number): Physical {
    return this.as(id, identity(this.value(id).shape.length));
  }

  /**
   * An operand of an elementwise operation whose result has logical rank `rank` and layout `layout`: reordered
   * so that ONNX's broadcasting lines its dimensions up with the result's.
   */
  operand(id: number, rank: number, layout: readonly number[]): string {
    const value = this.value(id);
    if (value.constant?.uniform !== undefined) return this.scalar(value.constant.uniform, value.dtype);
    const own = value.shape.length;
    const shift = rank - own;
    if (own === 0) return this.native(id).name;
    if (own === rank) return this.as(id, layout).name;
    const ownLayout = layout.filter((axis) => axis >= shift).map((axis) => axis - shift);
    const held = this.as(id, ownLayout);
    const wanted = layout.map((axis) => (axis < shift ? 1 : value.shape[axis - shift]));
    while (wanted.length > 0 && wanted[0] === 1 && wanted.length > held.shape.length) wanted.shift();
    return equal(wanted, held.shape) ? held.name : this.reshaped(held, wanted);
  }

  /** The same elements under another physical shape. */
  reshaped(p: Physical, shape: readonly number[]): string {
    if (equal(p.shape, shape)) return p.name;
    if (p.data) return this.initializer(kindOf(p.data), shape, p.data);
    return this.emit('Reshape', [p.name, this.ints(shape)]);
  }

  /** @param from the shape that it had, for `unshaped` */
  reshape(name: string, shape: readonly number[], from?: readonly number[]): string {
    const made = this.emit('Reshape', [name, this.ints(shape)]);
    if (from) this.flat.set(made, { name, shape: from });
    return made;
  }

  /** A value's elements in their own axes' order, as they are before a last reshape, which would copy an output. */
  unshaped(id: number): { readonly name: string; readonly shape: readonly number[] } {
    const { name, shape } = this.plain(id);
    return this.flat.get(name) ?? { name, shape };
  }
}

function kindOf(data: TypedArray): DType {
  return data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool';
}

/** Elements of a row-major array of `shape` in the order of `layout`. */
export function permuteData<T extends TypedArray>(
  data: T,
  shape: readonly number[],
  layout: readonly number[],
): T {
  if (equal(layout, identity(shape.length)) || data.length <= 1) return data;
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const dims = layout.map((axis) => shape[axis]);
  const steps = layout.map((axis) => strides[axis]);
  const out = new (data.constructor as new (n: number) => T)(data.length);
  const at = dims.map(() => 0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from];
    for (let d = dims.length - 1; d >= 0; d--) {
      at[d]++;
      from += steps[d];
      if (at[d] < dims[d]) break;
      from -= steps[d] * dims[d];
      at[d] = 0;
    }
  }
  return out;
}
