/**
 * Arrays whose newest elements are on the device: outputs of one run that are inputs of the next, so that they need
 * not travel. ONNX Runtime for Node keeps an output on the device when the WebGPU provider is told to, takes it as
 * an input, and has no way to read it but a model that ends on the CPU.
 */
import type { Tensor as OrtTensor } from 'onnxruntime-node';
import type { DType, TypedArray } from './graph.js';
import type { EncodedModel } from './onnx.js';
import { encodeModel } from './onnx.js';

/** A model that hands on its input `x` as `y`. */
export function identityModel(dtype: DType, shape: readonly number[]): EncodedModel {
  return encodeModel({
    nodes: [{ op: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attrs: {} }],
    initializers: [],
    inputs: [{ name: 'x', shape, type: dtype }],
    outputs: [{ name: 'y', shape, type: dtype }],
  });
}

/** Device tensors by the arrays that they stand for. */
export class Residents {
  private readonly tensors = new Map<TypedArray, OrtTensor>();
  /** Arrays whose own elements are older than the device's. */
  private readonly stale = new Set<TypedArray>();

  /** The tensor that holds an array's newest elements, if that is on the device. */
  get(data: TypedArray): OrtTensor | undefined {
    return this.tensors.get(data);
  }

  /** An array's newest elements are in `tensor` from now on; what it had before is freed, as no collector would. */
  set(data: TypedArray, tensor: OrtTensor): void {
    this.tensors.get(data)?.dispose();
    this.tensors.set(data, tensor);
    this.stale.add(data);
  }

  isStale(data: TypedArray): boolean {
    return this.stale.has(data);
  }

  /** The array has the device's elements. */
  refreshed(data: TypedArray): void {
    this.stale.delete(data);
  }

  /** Frees everything: before the sessions that it came from, whose release takes the memory away. */
  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
    this.tensors.clear();
    this.stale.clear();
  }
}
