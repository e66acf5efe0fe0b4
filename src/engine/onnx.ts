/**
 * ONNX models as plain data and as bytes. The schema is the part of onnx.proto3 that Sumi writes (field numbers
 * are the standard's: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
 */
import protobuf from 'protobufjs';
import type { DType, TypedArray } from './graph.js';

export const ElementType = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
} as const;
export type ElementName = keyof typeof ElementType;

export type Attribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { floats: readonly number[] };

export interface OnnxNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, Attribute>>;
}

export interface Initializer {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementName;
  readonly data: TypedArray | BigInt64Array | Uint16Array | Int8Array;
}

export interface ValueInfo {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly type: DType | 'int64';
}

export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly Initializer[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The operator set that lowering targets; ReduceMean takes its axes as an input from 18 on. */
export const OPSET = 18;

const schema = `
syntax = "proto3";
message StringString { string key = 1; string value = 2; }
message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
  repeated StringString external_data = 13; int32 data_location = 14; }
message Attribute { string name = 1; float f = 2; int64 i = 3; bytes s = 4; Tensor t = 5; repeated float floats = 7;
  repeated int64 ints = 8; int32 type = 20; }
message Dimension { oneof value { int64 dim_value = 1; string dim_param = 2; } }
message Shape { repeated Dimension dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; Type type = 2; }
message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
  repeated Attribute attribute = 5; string domain = 7; }
message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated ValueInfo input = 11;
  repeated ValueInfo output = 12; }
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; string producer_name = 2; Graph graph = 7; repeated OperatorSet opset_import = 8;
  repeated StringString metadata_props = 14; }
`;

let modelType: protobuf.Type | undefined;

const AttributeType = { float: 1, int: 2, string: 3, floats: 6, ints: 7 };

function attribute(name: string, value: Attribute): Record<string, unknown> {
  if (typeof value === 'number') return { name, i: value, type: AttributeType.int };
  if (typeof value === 'string') return { name, s: Buffer.from(value), type: AttributeType.string };
  if ('float' in value) return { name, f: value.float, type: AttributeType.float };
  if ('floats' in value) return { name, floats: value.floats, type: AttributeType.floats };
  return { name, ints: value, type: AttributeType.ints };
}

function valueInfo({ name, shape, type }: ValueInfo): Record<string, unknown> {
  const dim = shape.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d }));
  return { name, type: { tensorType: { elemType: ElementType[type], shape: { dim } } } };
}

const withoutShape = ({ name, type }: ValueInfo): Record<string, unknown> => ({
  name,
  type: { tensorType: { elemType: ElementType[type] } },
});

/**
 * The int64 constants as inputs with defaults. Resize demands to know how many numbers it gets; of the others not even
 * that is told, or ONNX Runtime knows ranks, and seeks for each value a dead one of its shape among all there are.
 */
function sizes({ nodes, initializers }: OnnxModel): Record<string, unknown>[] {
  const counted = new Set(nodes.filter(({ op }) => op === 'Resize').flatMap(({ inputs }) => inputs));
  return initializers
    .filter(({ type }) => type === 'int64')
    .map(({ name, shape }) => {
      const info: ValueInfo = { name, shape, type: 'int64' };
      return counted.has(name) ? valueInfo(info) : withoutShape(info);
    });
}

/** What the i-th node of a model is called. */
export const nodeName = (node: OnnxNode, i: number): string => `${node.op}_${i}`;

/** Arrays that a model's bytes only name; ONNX Runtime gets them beside it. */
export interface ExternalData {
  readonly path: string;
  readonly data: Uint8Array;
}

export interface EncodedModel {
  /** The bytes of an .onnx file. */
  readonly bytes: Uint8Array;
  readonly external: readonly ExternalData[];
  /** Shapes of outputs of which the bytes do not tell. */
  readonly outputShapes: Readonly<Record<string, readonly number[]>>;
}

/** Encoding copies weights, and so does reading: beyond so many bytes they stay outside (at 2 GiB they would have to). */
const LARGEST = 2 ** 23;

/** Arrays up to this many bytes are always inside: ONNX Runtime reads shapes while it loads the graph. */
const SMALL = 2 ** 10;

const bytesOf = ({ data }: Initializer) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

export interface EncodeOptions {
  /** How many bytes of weights may be within the model; of one with more, all but the small are external. */
  readonly largest?: number;
  /**
   * Whether ONNX Runtime may know the shapes of values (default). It then plans memory by shape: what a dead value lay
   * in is kept for the next value of just that shape. In a training graph, whose values are of many shapes, that takes
   * up to half as much memory again as when the arena gets it back.
   */
  readonly shapes?: boolean;
}

/** Encodes a model. */
export function encodeModel(
  model: OnnxModel,
  { largest = LARGEST, shapes = true }: EncodeOptions = {},
): EncodedModel {
  const total = model.initializers.reduce((sum, { data }) => sum + data.byteLength, 0);
  const isExternal = ({ data }: Initializer) => total > largest && data.byteLength > SMALL;
  const stored = (t: Initializer) =>
    isExternal(t)
      ? {
          dataLocation: 1,
          externalData: [
            { key: 'location', value: t.name },
            { key: 'offset', value: '0' },
            { key: 'length', value: String(t.data.byteLength) },
          ],
        }
      : { rawData: bytesOf(t) };
  modelType ??= protobuf.parse(schema).root.lookupType('Model');
  const message = {
    irVersion: 8,
    producerName: 'sumi',
    opsetImport: [...new Set(['', ...model.nodes.map((n) => n.domain)])].map((domain) => ({
      domain,
      version: domain === '' ? OPSET : 1,
    })),
    metadataProps: Object.entries(model.metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: {
      name: 'sumi',
      node: model.nodes.map((n, i) => ({
        input: n.inputs,
        output: n.outputs,
        name: nodeName(n, i),
        opType: n.op,
        domain: n.domain,
        attribute: Object.entries(n.attrs).map(([k, v]) => attribute(k, v)),
      })),
      initializer: model.initializers.map((t) => ({
        dims: t.shape,
        dataType: ElementType[t.type],
        name: t.name,
        ...stored(t),
      })),
      // Constants that a caller may replace tell nothing of the shapes that are made by them.
      input: shapes ? model.inputs.map(valueInfo) : [...model.inputs.map(withoutShape), ...sizes(model)],
      output: model.outputs.map(shapes ? valueInfo : withoutShape),
    },
  };
  return {
    bytes: modelType.encode(message as never).finish(),
    external: model.initializers.filter(isExternal).map((t) => ({ path: t.name, data: bytesOf(t) })),
    outputShapes: shapes
      ? {}
      : Object.fromEntries(model.outputs.map(({ name, shape }) => [name, shape as number[]])),
  };
}
