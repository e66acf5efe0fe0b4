/** Operations that work element by element: they keep the layout of their largest operand. */
import type { DType, Node } from '../graph.js';
import { sizeOf } from '../graph.js';
import { ElementType } from '../onnx.js';
import { broadcastShapes } from '../shapes.js';
import { equal, identity, type Lowering } from './context.js';
import type { Lower } from './table.js';

/** The layout that costs the fewest transposes: that of most of the operands of full size. */
export function commonLayout(
  l: Lowering,
  ids: readonly number[],
  outShape: readonly number[],
): readonly number[] {
  const rank = outShape.length;
  const votes: { layout: readonly number[]; weight: number }[] = [];
  for (const id of ids) {
    const { shape } = l.value(id);
    if (l.isConstant(id) || shape.length !== rank) continue;
    const { layout } = l.native(id);
    const weight = sizeOf(shape);
    const same = votes.find((v) => equal(v.layout, layout));
    if (same) same.weight += weight;
    else votes.push({ layout, weight });
  }
  votes.sort((a, b) => b.weight - a.weight);
  return votes[0]?.layout ?? identity(rank);
}

type Build = (l: Lowering, operands: string[], node: Node) => string;

/** Lowers a node whose operands broadcast to its output. */
const elementwise =
  (build: Build): Lower =>
  (l, node) => {
    const [out] = node.outputs;
    const { shape } = l.value(out);
    const layout = commonLayout(l, node.inputs, shape);
    const operands = node.inputs.map((id) => l.operand(id, shape.length, layout));
    const name = build(l, operands, node);
    // Uniform constants come as scalars: spread the result if the other operands do not give it its shape.
    const given = node.inputs.map((id) => l.value(id)).filter((v) => v.constant?.uniform === undefined);
    const spreads = equal(
      given.reduce<readonly number[]>((s, v) => broadcastShapes(s, v.shape), []),
      shape,
    );
    const full = spreads ? name : l.emit('Expand', [name, l.ints(layout.map((a) => shape[a]))]);
    l.bind(out, full, layout);
  };

const op =
  (name: string): Build =>
  (l, xs) =>
    l.emit(name, xs);

const clip =
  (min: number, max: number): Build =>
  (l, [x]) =>
    l.emit('Clip', [x, l.scalar(min), l.scalar(max)]);

const builds: Record<string, Build> = {
  Add: op('Add'),
  Sub: op('Sub'),
  Multiply: op('Mul'),
  RealDiv: op('Div'),
  Maximum: op('Max'),
  Minimum: op('Min'),
  Pow: op('Pow'),
  AddN: op('Sum'),
  Abs: op('Abs'),
  Ceil: op('Ceil'),
  Cos: op('Cos'),
  Erf: op('Erf'),
  Exp: op('Exp'),
  Floor: op('Floor'),
  Log: op('Log'),
  Neg: op('Neg'),
  Reciprocal: op('Reciprocal'),
  Relu: op('Relu'),
  Round: op('Round'),
  Sigmoid: op('Sigmoid'),
  Sign: op('Sign'),
  Sin: op('Sin'),
  Softplus: op('Softplus'),
  Sqrt: op('Sqrt'),
  Tanh: op('Tanh'),
  Elu: op('Elu'),
  Equal: op('Equal'),
  Greater: op('Greater'),
  Less: op('Less'),
  GreaterEqual: op('GreaterOrEqual'),
  LessEqual: op('LessOrEqual'),
  LogicalAnd: op('And'),
  LogicalOr: op('Or'),
  LogicalNot: op('Not'),
  NotEqual: (l, xs) => l.emit('Not', [l.emit('Equal', xs)]),
  SquaredDifference: (l, xs) => {
    const d = l.emit('Sub', xs);
    return l.emit('Mul', [d, d]);
  },
  Square: (l, [x]) => l.emit('Mul', [x, x]),
  Rsqrt: (l, [x]) => l.emit('Reciprocal', [l.emit('Sqrt', [x])]),
  Log1p: (l, [x]) => l.emit('Log', [l.emit('Add', [x, l.scalar(1)])]),
  Relu6: clip(0, 6),
  ClipByValue: (l, xs, node) =>
    clip(node.attrs.clipValueMin as number, node.attrs.clipValueMax as number)(l, xs, node),
  LeakyRelu: (l, [x], node) => l.emit('LeakyRelu', [x], { alpha: { float: node.attrs.alpha as number } }),
  Step: (l, [x], node) => {
    const positive = l.emit('Greater', [x, l.scalar(0)]);
    const { alpha = 0 } = node.attrs as { alpha?: number };
    // Half the time of a choice between two numbers.
    if (alpha === 0) return l.emit('Cast', [positive], { to: ElementType.float32 });
    return l.emit('Where', [positive, l.scalar(1), l.scalar(alpha)]);
  },
  // x·sigmoid(x): ONNX Runtime has it as QuickGelu with alpha 1, in one pass over the data.
  SumiSilu: (l, [x]) =>
    l.standard
      ? l.emit('Mul', [x, l.emit('Sigmoid', [x])])
      : l.emit('QuickGelu', [x], { alpha: { float: 1 } }, 'com.microsoft'),
  Cast: (l, [x], node) => l.emit('Cast', [x], { to: ElementType[node.attrs.dtype as DType] }),
  Select: op('Where'),
};

export const elementwiseLowerings: Record<string, Lower> = Object.fromEntries(
  Object.entries(builds).map(([name, build]) => [name, elementwise(build)]),
);
