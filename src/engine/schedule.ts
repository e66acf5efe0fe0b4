/**
 * The order in which ONNX Runtime computes a graph. It walks from results back to what they need and takes, of several
 * candidates, the node with the highest number first. Numbered against the order in which they should run, nodes run
 * about in it.
 */
import type { OnnxModel, OnnxNode } from './onnx.js';

/** What hands a result on, in another shape or as a sum: worth doing at once, for it frees what it was made of. */
const carrying = new Set(['Transpose', 'Reshape', 'Identity', 'ReduceSum', 'ReduceSumSquare', 'Sum', 'Sqrt']);

/**
 * A model whose last result needs all that is large, with nodes that run in their order, but for those that only carry
 * a result to an output: they run as soon as it is there, wherever they stand. The nodes of the model returned are in
 * no order that the ONNX standard allows.
 */
export function inOrder(model: OnnxModel): OnnxModel {
  const { nodes } = model;
  const users = new Map<string, OnnxNode[]>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      const known = users.get(input);
      if (known) known.push(node);
      else users.set(input, [node]);
    }
  }
  const usersOf = (node: OnnxNode) => node.outputs.flatMap((output) => users.get(output) ?? []);
  const carriers = new Set<OnnxNode>();
  for (const node of [...nodes].reverse()) {
    if (carrying.has(node.op) && usersOf(node).every((user) => carriers.has(user))) carriers.add(node);
  }
  const madeAt = new Map<string, number>();
  const timed = nodes.map((node, i) => {
    const time = carriers.has(node) ? Math.max(...node.inputs.map((input) => madeAt.get(input) ?? 0)) : i;
    for (const output of node.outputs) madeAt.set(output, time);
    return { node, time, last: usersOf(node).length === 0 };
  });
  // The walk from a training step's last result, the gradient's norm, finds all gradients on the way.
  const ends = timed.filter(({ last }) => last).sort((a, b) => a.time - b.time);
  const inner = timed.filter(({ last }) => !last).sort((a, b) => b.time - a.time);
  return { ...model, nodes: [...inner, ...ends].map(({ node }) => node) };
}
