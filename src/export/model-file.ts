/** A network as the bytes of an ONNX file: standard operators, channels-first, for batches of any size. */
import { BATCH, withAnyBatch } from '../engine/any-batch.js';
import { graphOf } from '../engine/compile.js';
import { lower } from '../engine/lower/index.js';
import { ElementType, encodeModel, type OnnxModel, type OnnxNode } from '../engine/onnx.js';
import { type Tensor, tf } from '../engine/tf.js';
import { InputError } from '../errors.js';
import type { GraphFile } from './graphs.js';
import { withHalfWeights } from './half.js';

/** What optimum calls the length of an input that may be one for all pictures or one for each. */
const STEPS = 'steps';

/** Protocol buffers, of which ONNX files consist, cannot be larger than 2 GiB. */
export const LARGEST_FILE = 2 ** 31 - 1;

export interface ModelFileOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Whether weights that half precision holds exactly are stored in it. */
  readonly half?: boolean;
  /** Default `LARGEST_FILE`. */
  readonly maxBytes?: number;
}

/** Lowers a network for one batch size. */
function lowered({ fn, inputs, output, constants, name }: GraphFile, batch: number): OnnxModel {
  const specs = Object.entries(inputs).map(([key, { shape, dtype }]) => [
    key,
    { shape: [batch, ...shape], dtype: dtype === 'int64' ? ('int32' as const) : dtype },
  ]);
  const graph = graphOf(
    (given) => {
      const last = Object.entries(inputs).map(([key, { shape }]): [string, Tensor] => [
        key,
        shape.length === 3 ? tf.transpose(given[key], [0, 2, 3, 1]) : given[key],
      ]);
      const made = fn({ ...given, ...Object.fromEntries(last) });
      return { [output]: made.rank === 4 ? tf.transpose(made, [0, 3, 1, 2]) : made };
    },
    Object.fromEntries(specs),
    { constants, name },
  );
  return lower(graph, { standard: true });
}

/** Gives outputs their own names, which the compiler marks because its graphs may have inputs of the same name. */
function withPlainOutputs(model: OnnxModel): OnnxModel {
  const names = new Map(model.outputs.map(({ name }) => [name, name.replace(/:out$/, '')]));
  const renamed = (all: readonly string[]) => all.map((name) => names.get(name) ?? name);
  return {
    ...model,
    nodes: model.nodes.map((n) => ({ ...n, inputs: renamed(n.inputs), outputs: renamed(n.outputs) })),
    outputs: model.outputs.map((info) => ({ ...info, name: names.get(info.name) as string })),
  };
}

/** Inputs as other exporters have them: class numbers are int64, and one timestep may stand for all pictures. */
function withUsualInputs(model: OnnxModel, { inputs }: GraphFile): OnnxModel {
  const first: OnnxNode[] = [];
  const inner = new Map<string, string>();
  const emit = (op: string, from: string[], attrs: OnnxNode['attrs'] = {}): string => {
    const made = `${op}.input.${first.length}`;
    first.push({ op, domain: '', inputs: from, outputs: [made], attrs });
    return made;
  };
  const infos = model.inputs.map((info) => {
    const { dtype, broadcasts } = inputs[info.name];
    if (dtype === 'int64') {
      inner.set(info.name, emit('Cast', [info.name], { to: ElementType.int32 }));
      return { ...info, type: dtype };
    }
    if (!broadcasts) return info;
    const [pictures] = Object.entries(inputs).filter(([, { shape }]) => shape.length === 3);
    const batch = emit('Shape', [pictures[0]], { start: 0, end: 1 });
    inner.set(info.name, emit('Expand', [info.name, batch]));
    return { ...info, shape: info.shape.map((d) => (d === BATCH ? STEPS : d)) };
  });
  const nodes = model.nodes.map((n) => ({ ...n, inputs: n.inputs.map((name) => inner.get(name) ?? name) }));
  return { ...model, inputs: infos, nodes: [...first, ...nodes] };
}

/** The model of a file, as plain data. */
export function modelOf(file: GraphFile, { metadata, half }: ModelFileOptions = {}): OnnxModel {
  const open = withAnyBatch((batch) => lowered(file, batch), file.name);
  const usual = withUsualInputs(withPlainOutputs(open), file);
  return { ...(half ? withHalfWeights(usual) : usual), metadata };
}

/**
 * @throws InputError when the file would be larger than ONNX files can be
 * @throws RunError when its batch cannot be left open
 */
export function encodeFile(model: OnnxModel, name: string, maxBytes = LARGEST_FILE): Uint8Array {
  const weights = model.initializers.reduce((n, { data }) => n + data.byteLength, 0);
  const limit = () =>
    new InputError(
      `${(weights / 1e9).toPrecision(3)} GB of weights, and an ONNX file holds ${(maxBytes / 1e9).toPrecision(3)} — ${name} — use --dtype fp16, or a smaller model`,
    );
  if (weights > maxBytes) throw limit();
  const { bytes } = encodeModel(model, { largest: maxBytes });
  if (bytes.length > maxBytes) throw limit();
  return bytes;
}
