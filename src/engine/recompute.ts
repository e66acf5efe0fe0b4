/** Cheap results are computed again for the backward pass rather than kept for it (Chen et al. 2016, arXiv:1604.06174). */
import type { Graph, Node, Value } from './graph.js';

/** One pass over one operand, which the gradient keeps anyway. */
const cheap = new Set(['SumiSilu']);

/** Nodes from use to use beyond which a value is not worth keeping. */
const FAR = 50;

/** The same computation, with nodes repeated where their results would wait long for a next use. */
export function recomputed(graph: Graph): Graph {
  const values: Value[] = [...graph.values];
  const makers = new Map<number, Node>();
  const lastUse = new Map<number, number>();
  const stands = new Map<number, number>();
  const nodes: Node[] = [];
  for (const [i, node] of graph.nodes.entries()) {
    for (const id of new Set(node.inputs)) {
      const maker = makers.get(id);
      if (!maker) continue;
      if (i - lastUse.get(id)! > FAR) {
        const copy = { ...values[id], id: values.length };
        values.push(copy);
        nodes.push({ ...maker, outputs: [copy.id] });
        stands.set(id, copy.id);
      }
      lastUse.set(id, i);
    }
    nodes.push({ ...node, inputs: node.inputs.map((id) => stands.get(id) ?? id) });
    if (!cheap.has(node.op)) continue;
    makers.set(node.outputs[0], node);
    lastUse.set(node.outputs[0], i);
  }
  return { ...graph, values, nodes };
}
