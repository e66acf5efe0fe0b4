/** How much memory a graph will need, before anything is built. */
import { RunError } from '../errors.js';
import { type Graph, sizeOf } from './graph.js';

const BYTES = { float32: 4, int32: 4, bool: 1 } as const;

/**
 * The most bytes of values that are alive at one time when the nodes run in their order: inputs and outputs all
 * along, everything else from its making to its last use. A kernel's own scratch space comes on top.
 */
export function peakBytes(graph: Graph): number {
  const bytes = graph.values.map(({ shape, dtype, constant }) =>
    constant?.uniform === undefined ? sizeOf(shape) * BYTES[dtype] : 0,
  );
  const lastUse = new Map<number, number>();
  for (const [i, node] of graph.nodes.entries())
    for (const id of [...node.inputs, ...node.outputs]) lastUse.set(id, i);
  const kept = new Set([
    ...Object.values(graph.inputs),
    ...Object.values(graph.outputs),
    ...graph.values.filter(({ constant }) => constant).map(({ id }) => id),
  ]);
  let live = [...kept].reduce((sum, id) => sum + bytes[id], 0);
  let peak = live;
  for (const [i, node] of graph.nodes.entries()) {
    for (const id of node.outputs) if (!kept.has(id)) live += bytes[id];
    peak = Math.max(peak, live);
    for (const id of new Set([...node.inputs, ...node.outputs]))
      if (!kept.has(id) && lastUse.get(id) === i) live -= bytes[id];
  }
  return peak;
}

/**
 * What running takes beside the values that must be alive: ONNX Runtime's arena, copies and scratch space of kernels.
 * Training steps took 1.4 to 1.5 times `peakBytes` in all.
 */
const OVERHEAD = 1.4;

const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GB`;

/** @throws RunError when the memory that is free now cannot hold the graph's values */
export function requireMemory(graph: Graph, name: string): void {
  const needed = OVERHEAD * peakBytes(graph);
  const free = process.availableMemory();
  if (needed <= free) return;
  throw new RunError(
    `at least ${gigabytes(needed)} of memory are needed and ${gigabytes(free)} are free — ${name} — use a smaller batch, picture or network`,
  );
}
