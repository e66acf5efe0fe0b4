/**
 * Graphs are traced for shapes that are known; a file for other programs should take any number of pictures. Two
 * models of one function, lowered for two batch sizes, show where the batch is written down: they must be the same
 * but for sizes. Each such size, as it differs, is a·batch + b, and is computed from the input's shape instead.
 */
import { RunError } from '../errors.js';
import type { Attribute, Initializer, OnnxModel, OnnxNode, ValueInfo } from './onnx.js';

/** Primes, and larger than any other size in a network, so that no size is equal to the batch by chance. */
const BATCHES = [10007, 10009] as const;

/** What the batch is called in the shapes of inputs and outputs. */
export const BATCH = 'batch';

/** A size that depends on the batch: slope·batch + offset. */
interface Affine {
  readonly slope: number;
  readonly offset: number;
}

function affine(a: number, b: number): Affine | null {
  const slope = (b - a) / (BATCHES[1] - BATCHES[0]);
  const offset = a - slope * BATCHES[0];
  return Number.isInteger(slope) && slope > 0 ? { slope, offset } : null;
}

/**
 * A model whose first dimension is symbolic.
 * @param build lowers the same function for a batch size
 * @param name of the function, for messages
 * @throws RunError naming what depends on the batch in a way that cannot be computed in the graph
 */
export function withAnyBatch(build: (batch: number) => OnnxModel, name: string): OnnxModel {
  return new Merge(build(BATCHES[0]), build(BATCHES[1]), name).run();
}

class Merge {
  private readonly nodes: OnnxNode[] = [];
  private readonly added: Initializer[] = [];
  /** Names in the second model by those in the first. */
  private readonly twins = new Map<string, string>();
  private readonly computed = new Map<string, string>();
  private readonly constants: readonly [Map<string, Initializer>, Map<string, Initializer>];
  private counter = 0;

  constructor(
    private readonly a: OnnxModel,
    private readonly b: OnnxModel,
    private readonly name: string,
  ) {
    const byName = (m: OnnxModel) => new Map(m.initializers.map((i) => [i.name, i]));
    this.constants = [byName(a), byName(b)];
  }

  run(): OnnxModel {
    const { a, b } = this;
    if (a.nodes.length !== b.nodes.length)
      this.refuse(`it has ${a.nodes.length} operations for one batch size, ${b.nodes.length} for another`);
    const inputs = a.inputs.map((info, i) => this.info(info, b.inputs[i]));
    a.inputs.forEach((info, i) => {
      this.twins.set(info.name, b.inputs[i].name);
    });
    a.nodes.forEach((node, i) => {
      this.node(node, b.nodes[i]);
    });
    const outputs = a.outputs.map((info, i) => this.info(info, b.outputs[i]));
    const used = new Set(this.nodes.flatMap((n) => n.inputs));
    const initializers = [...a.initializers, ...this.added].filter((i) => used.has(i.name));
    return { ...a, nodes: this.nodes, initializers, inputs, outputs };
  }

  private refuse(why: string): never {
    throw new RunError(
      `no batch of any size is possible: ${why} — ${this.name} — use this model with Sumi itself`,
    );
  }

  private info(a: ValueInfo, b: ValueInfo): ValueInfo {
    const shape = a.shape.map((d, i) => {
      const e = b.shape[i];
      if (d === e) return d;
      const form = affine(d as number, e as number);
      if (!form) this.refuse(`the shape of ${a.name} changes with the batch, but not in proportion`);
      return nameOf(form);
    });
    return { ...a, shape };
  }

  private node(a: OnnxNode, b: OnnxNode): void {
    if (a.op !== b.op || a.inputs.length !== b.inputs.length)
      this.refuse(`${a.op} for one batch size is ${b.op} for another`);
    if (!sameAttributes(a.attrs, b.attrs)) this.refuse(`an attribute of ${a.op} depends on it`);
    const inputs = a.inputs.map((name, i) => this.operand(a.op, name, b.inputs[i]));
    a.outputs.forEach((name, i) => {
      this.twins.set(name, b.outputs[i]);
    });
    this.nodes.push({ ...a, inputs });
  }

  /** Sizes are compared where they are used: models share constants of equal content under one name. */
  private operand(op: string, a: string, b: string): string {
    const [x, y] = [this.constants[0].get(a), this.constants[1].get(b)];
    if (!x || !y) {
      if (a !== '' && this.twins.get(a) !== b)
        this.refuse(`${op} works on other values for another batch size`);
      return a;
    }
    const sameShape = x.type === y.type && `${x.shape}` === `${y.shape}`;
    if (sameShape && sameData(x.data, y.data)) return a;
    if (!sameShape || x.type !== 'int64' || x.shape.length !== 1)
      this.refuse(`a constant of ${op} depends on it`);
    const entries = Array.from(x.data as BigInt64Array, (v, i) => {
      const [m, n] = [Number(v), Number((y.data as BigInt64Array)[i])];
      if (m === n) return m;
      return affine(m, n) ?? this.refuse(`a size of ${op} changes with the batch, but not in proportion`);
    });
    return this.sizes(op, entries);
  }

  /** A vector of sizes, some of which depend on the batch. */
  private sizes(op: string, entries: readonly (number | Affine)[]): string {
    const open = entries.filter((e) => typeof e !== 'number');
    // ONNX works one unknown size of a reshape out by itself.
    if (op === 'Reshape' && open.length === 1 && !entries.includes(-1))
      return this.ints(entries.map((e) => (typeof e === 'number' ? e : -1)));
    const key = entries.map((e) => (typeof e === 'number' ? e : nameOf(e))).join();
    const known = this.computed.get(key);
    if (known) return known;
    const parts = entries.map((e) => (typeof e === 'number' ? this.ints([e]) : this.size(e)));
    const made = parts.length === 1 ? parts[0] : this.emit('Concat', parts, { axis: 0 });
    this.computed.set(key, made);
    return made;
  }

  private size({ slope, offset }: Affine): string {
    const batch = this.batch();
    const scaled = slope === 1 ? batch : this.emit('Mul', [batch, this.ints([slope])]);
    return offset === 0 ? scaled : this.emit('Add', [scaled, this.ints([offset])]);
  }

  private batch(): string {
    const known = this.computed.get(BATCH);
    if (known) return known;
    const input = this.a.inputs.find(({ shape }) => shape[0] === BATCHES[0]);
    if (!input) this.refuse('no input has the batch in front');
    const made = this.emit('Shape', [input.name], { start: 0, end: 1 });
    this.computed.set(BATCH, made);
    return made;
  }

  private ints(values: readonly number[]): string {
    const key = `ints ${values.join()}`;
    const known = this.computed.get(key);
    if (known) return known;
    const name = `size.${this.counter++}`;
    this.added.push({
      name,
      shape: [values.length],
      type: 'int64',
      data: BigInt64Array.from(values.map(BigInt)),
    });
    this.computed.set(key, name);
    return name;
  }

  private emit(op: string, inputs: readonly string[], attrs: OnnxNode['attrs'] = {}): string {
    const name = `${op}.batch.${this.counter++}`;
    this.nodes.push({ op, domain: '', inputs, outputs: [name], attrs });
    return name;
  }
}

/** "batch", "batch * 4", "batch * 4 - 1" */
function nameOf({ slope, offset }: Affine): string {
  const product = slope === 1 ? BATCH : `${BATCH} * ${slope}`;
  return offset === 0 ? product : `${product} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)}`;
}

function sameAttributes(
  a: Readonly<Record<string, Attribute>>,
  b: Readonly<Record<string, Attribute>>,
): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function sameData(a: Initializer['data'], b: Initializer['data']): boolean {
  if (a.length !== b.length) return false;
  if (a === b) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i] && !Object.is(a[i], b[i])) return false;
  return true;
}
