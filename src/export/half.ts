/** Weights in half precision: rounded before anything is computed, so that storing them loses nothing more. */
import { fromF16, toF16 } from '../checkpoint/dtypes.js';
import { ElementType, type Initializer, type OnnxModel, type OnnxNode } from '../engine/onnx.js';
import { InputError } from '../errors.js';

/** What is smaller is not worth a Cast. */
const SMALLEST = 65;

/**
 * @returns the weights rounded to what half precision holds
 * @throws InputError when one is too large for it
 */
export function roundedToHalf(weights: Float32Array, where: string): Float32Array {
  const rounded = new Float32Array(weights.length);
  const bits = new Uint16Array(weights.length);
  toF16(weights, bits);
  fromF16(bits, rounded);
  const at = rounded.findIndex((v) => !Number.isFinite(v));
  if (at < 0) return rounded;
  throw new InputError(
    `a weight of ${weights[at]} is too large for half precision — ${where} — use --dtype fp32`,
  );
}

/** The bits of what half precision holds exactly; null when a number is not of that kind. */
function halfBits(data: Float32Array): Uint16Array | null {
  const bits = new Uint16Array(data.length);
  const back = new Float32Array(data.length);
  toF16(data, bits);
  fromF16(bits, back);
  for (let i = 0; i < data.length; i++) if (back[i] !== data[i]) return null;
  return bits;
}

/**
 * Stores what half precision holds exactly in it, each followed by a Cast: the model computes what it did, in
 * float32. Constants that half precision would change (frequencies of the time embedding) stay as they are.
 */
export function withHalfWeights(model: OnnxModel): OnnxModel {
  const casts: OnnxNode[] = [];
  const initializers = model.initializers.map((given): Initializer => {
    const bits =
      given.data instanceof Float32Array && given.data.length >= SMALLEST ? halfBits(given.data) : null;
    if (!bits) return given;
    const name = `${given.name}.half`;
    casts.push({
      op: 'Cast',
      domain: '',
      inputs: [name],
      outputs: [given.name],
      attrs: { to: ElementType.float32 },
    });
    return { name, shape: given.shape, type: 'float16', data: bits };
  });
  return { ...model, nodes: [...casts, ...model.nodes], initializers };
}
