import type { Node } from '../graph.js';
import type { Lowering } from './context.js';

/** Writes the ONNX nodes for one graph node and binds its outputs. */
export type Lower = (l: Lowering, node: Node) => void;
