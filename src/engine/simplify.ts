/**
 * Rewrites the traced graph into a smaller one that computes the same: a table of small local rules, common
 * subexpressions, and removal of what no output needs. Everything here is a pure function of the graph.
 */
import { type Constant, type Graph, type Node, sizeOf, type Value } from './graph.js';

/** What a rule does with a node: use another value instead, make it a constant, or replace the node. */
type Rewrite =
  | { alias: number }
  | { uniform: number }
  | { node: Pick<Node, 'op' | 'inputs' | 'attrs'> }
  | null;

/** Σx² over all axes: a `Sum` of a `Square`. */
export const SUM_SQUARE = 'SumiSumSquare';

interface Context {
  value(id: number): Value;
  /** The node that makes a value, after the rewrites so far. */
  producer(id: number): Node | undefined;
  uses(id: number): number;
}

type Rule = (node: Node, ctx: Context) => Rewrite;

const sameShape = (a: Value, b: Value) =>
  a.shape.length === b.shape.length && a.shape.every((d, i) => d === b.shape[i]);
const uniformOf = (v: Value): number | undefined => v.constant?.uniform;

const movement = new Set(['Reshape', 'ExpandDims', 'Transpose', 'BroadcastTo', 'Tile', 'Slice', 'Identity']);
const unary: Record<string, (x: number) => number> = {
  Neg: (x) => -x,
  Exp: Math.exp,
  Log: Math.log,
  Sqrt: Math.sqrt,
  Rsqrt: (x) => 1 / Math.sqrt(x),
  Square: (x) => x * x,
  Reciprocal: (x) => 1 / x,
  Abs: Math.abs,
};
const binary: Record<string, (a: number, b: number) => number> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Multiply: (a, b) => a * b,
  RealDiv: (a, b) => a / b,
  Maximum: Math.max,
  Minimum: Math.min,
};
const broadcasting = new Set([
  ...Object.keys(binary),
  'Pow',
  'SquaredDifference',
  'Greater',
  'Less',
  'Equal',
]);

/** An operand spread over the output's shape: nothing to do when it has that shape already. */
function spread(id: number, out: Value, ctx: Context): Rewrite {
  const v = ctx.value(id);
  if (v.dtype !== out.dtype) return null;
  return sameShape(v, out)
    ? { alias: id }
    : { node: { op: 'BroadcastTo', inputs: [id], attrs: { shape: out.shape } } };
}

const noOps: Rule = (node, ctx) => {
  const out = ctx.value(node.outputs[0]);
  const [x] = node.inputs;
  if (node.op === 'Identity') return { alias: x };
  if (node.op === 'Cast' && ctx.value(x).dtype === out.dtype) return { alias: x };
  const shapeOnly =
    node.op === 'Reshape' || node.op === 'BroadcastTo' || node.op === 'Slice' || node.op === 'Tile';
  if (shapeOnly && sameShape(ctx.value(x), out)) return { alias: x };
  if (node.op === 'ExpandDims') return { node: { op: 'Reshape', inputs: [x], attrs: { shape: out.shape } } };
  if (node.op === 'Transpose' && (node.attrs.perm as number[]).every((p, i) => p === i)) return { alias: x };
  if (node.op === 'PadV2' && (node.attrs.paddings as number[][]).flat().every((p) => p === 0))
    return { alias: x };
  if ((node.op === 'Sum' || node.op === 'Mean') && sizeOf(ctx.value(x).shape) === sizeOf(out.shape)) {
    return { node: { op: 'Reshape', inputs: [x], attrs: { shape: out.shape } } };
  }
  return null;
};

const uniformConstants: Rule = (node, ctx) => {
  if (node.outputs.length !== 1) return null;
  const known = node.inputs.map((id) => uniformOf(ctx.value(id)));
  if (known.length === 0 || known.some((u) => u === undefined)) return null;
  const [a, b] = known as number[];
  if (movement.has(node.op)) return { uniform: a };
  if (unary[node.op]) return { uniform: Math.fround(unary[node.op](a)) };
  if (binary[node.op] && ctx.value(node.outputs[0]).dtype === 'float32') {
    return { uniform: Math.fround(binary[node.op](a, b)) };
  }
  return null;
};

const neutralElements: Rule = (node, ctx) => {
  const [x, y] = node.inputs;
  const out = ctx.value(node.outputs[0]);
  const ux = x === undefined ? undefined : uniformOf(ctx.value(x));
  const uy = y === undefined ? undefined : uniformOf(ctx.value(y));
  if (node.op === 'Multiply' && uy === 1) return spread(x, out, ctx);
  if (node.op === 'Multiply' && ux === 1) return spread(y, out, ctx);
  if (node.op === 'Multiply' && (ux === 0 || uy === 0)) return { uniform: 0 };
  if (node.op === 'RealDiv' && uy === 1) return spread(x, out, ctx);
  if ((node.op === 'Add' || node.op === 'Sub') && uy === 0) return spread(x, out, ctx);
  if (node.op === 'Add' && ux === 0) return spread(y, out, ctx);
  return null;
};

/** Operands that broadcast by themselves need not be spread first. */
const lazyBroadcast: Rule = (node, ctx) => {
  if (!broadcasting.has(node.op)) return null;
  const out = ctx.value(node.outputs[0]);
  for (const [i, other] of [
    [0, 1],
    [1, 0],
  ]) {
    const maker = ctx.producer(node.inputs[i]);
    if (maker?.op !== 'BroadcastTo' || !sameShape(ctx.value(node.inputs[other]), out)) continue;
    const inputs = [...node.inputs];
    inputs[i] = maker.inputs[0];
    return { node: { op: node.op, inputs, attrs: node.attrs } };
  }
  return null;
};

const reshapeOfReshape: Rule = (node, ctx) => {
  if (node.op !== 'Reshape') return null;
  const maker = ctx.producer(node.inputs[0]);
  if (maker?.op !== 'Reshape') return null;
  return {
    node: { op: 'Reshape', inputs: [maker.inputs[0]], attrs: { shape: ctx.value(node.outputs[0]).shape } },
  };
};

const convolutionBias: Rule = (node, ctx) => {
  if (node.op !== 'Add') return null;
  const [x, b] = node.inputs;
  const maker = ctx.producer(x);
  const channels = ctx.value(node.outputs[0]).shape[3];
  const bias = ctx.value(b);
  if (maker?.op !== 'Conv2D' || maker.inputs.length !== 2 || ctx.uses(x) !== 1) return null;
  if (bias.shape.length !== 1 || bias.shape[0] !== channels) return null;
  return { node: { op: 'Conv2D', inputs: [...maker.inputs, b], attrs: maker.attrs } };
};

/** (a·b)·c with a constant c: the matrix product scales for nothing. */
const scaledMatmul: Rule = (node, ctx) => {
  if (node.op !== 'Multiply') return null;
  for (const [m, s] of [node.inputs, [...node.inputs].reverse()]) {
    const maker = ctx.producer(m);
    const scale = uniformOf(ctx.value(s));
    if (maker?.op !== 'BatchMatMul' || scale === undefined || ctx.uses(m) !== 1) continue;
    if (!sameShape(ctx.value(m), ctx.value(node.outputs[0]))) continue;
    const alpha = ((maker.attrs.alpha as number | undefined) ?? 1) * scale;
    return { node: { op: 'BatchMatMul', inputs: maker.inputs, attrs: { ...maker.attrs, alpha } } };
  }
  return null;
};

/** The sum of all squares in one operation, with no array of squares. */
const sumOfSquares: Rule = (node, ctx) => {
  const maker = ctx.producer(node.inputs[0]);
  if (node.op !== 'Sum' || maker?.op !== 'Square' || ctx.uses(node.inputs[0]) !== 1) return null;
  if (sizeOf(ctx.value(node.outputs[0]).shape) !== 1) return null;
  return { node: { op: SUM_SQUARE, inputs: maker.inputs, attrs: node.attrs } };
};

/** The rules in the order in which they are tried, by the pass that they belong to. */
export const passes: Readonly<Record<string, readonly Rule[]>> = {
  simplify: [noOps, uniformConstants, neutralElements, reshapeOfReshape, lazyBroadcast],
  fuse: [lazyBroadcast, convolutionBias, scaledMatmul, sumOfSquares],
};

/** Equal uniform constants count as one operand. */
function identityOf(v: Value): string {
  return v.constant?.uniform === undefined ? String(v.id) : `=${v.constant.uniform}[${v.shape}]${v.dtype}`;
}

function countUses(graph: Graph): Map<number, number> {
  const uses = new Map<number, number>();
  const use = (id: number) => uses.set(id, (uses.get(id) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(use);
  Object.values(graph.outputs).forEach(use);
  return uses;
}

/** One sweep over the nodes, in order, with one list of rules; equal nodes are merged on the way. */
export function rewrite(graph: Graph, rules: readonly Rule[]): Graph {
  const values = [...graph.values];
  const alias = new Map<number, number>();
  const producers = new Map<number, Node>();
  const seen = new Map<string, readonly number[]>();
  const uses = countUses(graph);
  const resolve = (id: number): number => {
    let at = id;
    while (alias.has(at)) at = alias.get(at)!;
    return at;
  };
  const ctx: Context = {
    value: (id) => values[id],
    producer: (id) => producers.get(id),
    uses: (id) => uses.get(id) ?? 0,
  };
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    let node: Node | null = { ...original, inputs: original.inputs.map(resolve) };
    for (let again = true; again && node; ) {
      again = false;
      for (const rule of rules) {
        const change: Rewrite = rule(node, ctx);
        if (!change) continue;
        const [out]: readonly number[] = node.outputs;
        if ('alias' in change) alias.set(out, resolve(change.alias));
        else if ('uniform' in change)
          values[out] = { ...values[out], constant: { uniform: change.uniform } satisfies Constant };
        else {
          node = { ...node, ...change.node };
          again = true;
          break;
        }
        node = null;
        break;
      }
    }
    if (!node) continue;
    const key = `${node.op}(${node.inputs.map((id) => identityOf(values[id])).join()})${JSON.stringify(node.attrs)}`;
    const twin = seen.get(key);
    if (twin) {
      node.outputs.forEach((id, i) => {
        alias.set(id, twin[i]);
        uses.set(twin[i], (uses.get(twin[i]) ?? 0) + (uses.get(id) ?? 0));
      });
      continue;
    }
    seen.set(key, node.outputs);
    for (const id of node.outputs) producers.set(id, node);
    nodes.push(node);
  }
  const outputs = Object.fromEntries(Object.entries(graph.outputs).map(([name, id]) => [name, resolve(id)]));
  return removeDead({ values, nodes, inputs: graph.inputs, outputs });
}

function removeDead(graph: Graph): Graph {
  const needed = new Set(Object.values(graph.outputs));
  const nodes: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (!node.outputs.some((id) => needed.has(id))) continue;
    node.inputs.forEach((id) => {
      needed.add(id);
    });
    nodes.push(node);
  }
  return { ...graph, nodes: nodes.reverse() };
}

/**
 * Simplifies a traced graph.
 * @param report is told the number of nodes after each pass
 */
export function simplify(graph: Graph, report?: (pass: string, nodes: number) => void): Graph {
  report?.('traced', graph.nodes.length);
  let current = removeDead(graph);
  report?.('live', current.nodes.length);
  for (const [name, rules] of Object.entries(passes)) {
    current = rewrite(current, rules);
    report?.(name, current.nodes.length);
  }
  return current;
}
