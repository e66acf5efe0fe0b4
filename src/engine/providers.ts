/** ONNX Runtime's execution providers: what each is asked for, and why one did not start. */
import type { InferenceSession } from 'onnxruntime-node';
import { InputError } from '../errors.js';
import type { LowerOptions } from './lower/index.js';
import { nodeName, type OnnxModel } from './onnx.js';

/** The providers that Sumi asks for. */
export type Provider = 'cpu' | 'webgpu' | 'cuda';

/**
 * How graphs are lowered for a provider. WebGPU's lacks FusedMatMul, which in a training step is every matrix product of
 * a gradient: each would run on the CPU, its operands copied there and its result back. It fuses the standard operators
 * itself. Its norms want care.
 */
export const loweringFor = (provider: Provider): LowerOptions =>
  provider === 'webgpu' ? { standard: true, carefulNorms: true } : { direct: provider === 'cuda' };

/**
 * Names of the nodes that are not left to the WebGPU provider. It takes a MaxPool that is asked for indices and then
 * refuses to run it; sines are only as exact as the device's own, which WGSL allows to be off by 2^-11 and promises
 * nothing of beyond ±π, where the embeddings of timesteps lie.
 */
export function nodesForCpu(model: OnnxModel): string[] {
  const names: string[] = [];
  model.nodes.forEach((node, i) => {
    const refused = node.op === 'MaxPool' && node.outputs.length > 1;
    if (refused || node.op === 'Sin' || node.op === 'Cos') names.push(nodeName(node, i));
  });
  return names;
}

/** The providers of a session, by preference: what a GPU lacks runs on the CPU. */
export function executionProviders(
  provider: Provider,
  forCpu: readonly string[] = [],
): InferenceSession.ExecutionProviderConfig[] {
  if (provider === 'cpu') return ['cpu'];
  if (provider === 'webgpu' && forCpu.length > 0) {
    return [{ name: 'webgpu', forceCpuNodeNames: forCpu }, 'cpu'];
  }
  return [provider, 'cpu'];
}

/** Why a GPU provider did not start, as the user can mend it. */
export function providerError(provider: Provider, error: Error): Error {
  const [line] = error.message.split('\n');
  if (provider === 'webgpu' && /adapter/i.test(error.message)) {
    return new InputError(
      'engine webgpu — no GPU that Vulkan, Metal or Direct3D 12 can use was found — install its driver (on Debian also libvulkan1), or use --engine onnx',
    );
  }
  if (provider === 'cuda' && /libcu|cudnn|cuda.*(driver|device)|providers_cuda|shared library/i.test(line)) {
    return new InputError(
      'engine cuda — CUDA did not start — update the NVIDIA driver or CUDA to versions that belong together, or use --engine onnx',
    );
  }
  return error;
}
