/** Lowers a graph of tfjs kernels to an ONNX model. */
import { callSite, type Graph } from '../graph.js';
import type { OnnxModel, ValueInfo } from '../onnx.js';
import { identity, Lowering } from './context.js';
import { convolutionLowerings } from './convolution.js';
import { elementwiseLowerings } from './elementwise.js';
import { matmulLowerings } from './matmul.js';
import { movementLowerings } from './movement.js';
import { quantizedLowerings } from './quantized.js';
import { reduceLowerings } from './reduce.js';
import type { Lower } from './table.js';

const table: Readonly<Record<string, Lower>> = {
  ...elementwiseLowerings,
  ...movementLowerings,
  ...reduceLowerings,
  ...matmulLowerings,
  ...convolutionLowerings,
  ...quantizedLowerings,
};

export interface LowerOptions {
  /** Strings for the model's metadata_props. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Only operators of the ONNX standard, for runtimes that lack ONNX Runtime's own faster ones. Default false. */
  readonly standard?: boolean;
  /**
   * Norms as WebGPU's kernels get them right: of values less their mean, since a variance worked out as E[x²] - E[x]²
   * loses as many digits as the mean's square is larger than it, and all by LayerNormalization, since one
   * InstanceNormalization takes the epsilon of another of its shape. Default false.
   */
  readonly carefulNorms?: boolean;
  /** No convolution by Winograd's way, which is measured on CPUs; so it is with `standard`. Default false. */
  readonly direct?: boolean;
  /** Outputs may have other shapes than the graph's, of the same elements: one copy less. Default false. */
  readonly unshaped?: boolean;
}

/**
 * @param graph as the tracer recorded it, simplified or not
 * @returns the same computation with inputs and outputs in the graph's own axes' order
 * @throws Error naming the operation and the model's line when a node has no lowering
 */
export function lower(
  graph: Graph,
  { metadata, standard, carefulNorms, direct, unshaped }: LowerOptions = {},
): OnnxModel {
  const l = new Lowering(graph, standard, carefulNorms, direct);
  const inputs: ValueInfo[] = Object.entries(graph.inputs).map(([name, id]) => {
    const { shape, dtype } = l.value(id);
    l.bind(id, name, identity(shape.length));
    return { name, shape, type: dtype };
  });
  for (const node of graph.nodes) {
    const write = table[node.op];
    if (!write) throw new Error(`operation ${node.op} has no lowering — ${callSite(node.at)}`);
    write(l, node);
  }
  const finals: Record<string, string> = {};
  const outputs: ValueInfo[] = Object.entries(graph.outputs).map(([name, id]) => {
    const final = `${name}:out`;
    const held = unshaped ? l.unshaped(id) : l.plain(id);
    finals[final] = held.name;
    return { name: final, shape: held.shape, type: l.value(id).dtype };
  });
  l.output(finals);
  return { nodes: l.nodes, initializers: l.initializers, inputs, outputs, metadata };
}
