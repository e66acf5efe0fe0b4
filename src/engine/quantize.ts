/** Which convolutions of a graph are computed in 8-bit integers. */
import type { Graph, Node, Value } from './graph.js';

/** What networks are computed in. */
export const precisions = ['fp32', 'int8'] as const;
export type Precision = (typeof precisions)[number];

/** A convolution that `lower/quantized.ts` writes. */
export const INT8_CONVOLUTION = 'SumiConv2DInt8';

/**
 * Fewest channels, in and out, of a convolution that gains. It also spares a network's first and last ones, on whose
 * exactness pictures depend most.
 */
const CHANNELS = 16;

/** Nodes by what they make. */
type Makers = ReadonlyMap<number, Node>;

/** A filter's constant, and which of its axes are the filter's [kh, kw, I, O]; null for one that is not known. */
function knownFilter(
  id: number,
  values: readonly Value[],
  makers: Makers,
): { id: number; axes: number[] } | null {
  const maker = makers.get(id);
  const turned = maker?.op === 'Transpose';
  const source = turned ? maker.inputs[0] : id;
  if (values[source].constant?.data === undefined) return null;
  return { id: source, axes: turned ? (maker.attrs.perm as number[]) : [0, 1, 2, 3] };
}

function gains({ op, inputs, attrs }: Node, values: readonly Value[]): boolean {
  if (op !== 'Conv2D') return false;
  const [, , channelsIn, channelsOut] = values[inputs[1]].shape;
  const { dilations = 1 } = attrs;
  const dense = [dilations].flat().every((d) => d === 1);
  return dense && Math.min(channelsIn, channelsOut) >= CHANNELS;
}

/**
 * Convolutions with known filters, in 8-bit integers: filters with a scale for each output channel, inputs with one for
 * each picture, found as it runs, so that nothing is calibrated and no picture depends on its batch. Sums are exact and
 * come out as float32. Everything else stays float32.
 */
export function quantizeConvolutions(graph: Graph): Graph {
  const { values, outputs } = graph;
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((id) => [id, node] as const)));
  const nodes = graph.nodes.map((node) => {
    const filter = gains(node, values) ? knownFilter(node.inputs[1], values, makers) : null;
    if (!filter) return node;
    const [x, , ...bias] = node.inputs;
    const afterSilu = makers.get(x)?.op === 'SumiSilu';
    const attrs = { ...node.attrs, afterSilu, filterAxes: filter.axes };
    return { ...node, op: INT8_CONVOLUTION, inputs: [x, filter.id, ...bias], attrs };
  });
  // The filters' own changes of axes are for nobody now.
  const used = new Set([...Object.values(outputs), ...nodes.flatMap(({ inputs }) => inputs)]);
  return { ...graph, nodes: nodes.filter((node) => node.outputs.some((id) => used.has(id))) };
}
