/**
 * A writer of ONNX files (protobuf, field numbers of onnx.proto3, IR version 8), as much of it as the published models
 * need: double, float, int64 and boolean tensors, nodes with attributes that are integers or lists of them, one graph. Weights are raw
 * and little-endian, so they arrive bit for bit.
 */
const OPSET = 17;
const IR_VERSION = 8;
const TYPE = { float: 1, int64: 7, bool: 9, double: 11 } as const;
const ATTRIBUTE_INT = 2;
const ATTRIBUTE_INTS = 7;

type Bytes = readonly Uint8Array[];

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

/** Non-negative integer field (wire type 0). */
function integer(field: number, value: number): Bytes {
  return [varint(field * 8), varint(value)];
}

/** Length-delimited field (wire type 2). */
function bytes(field: number, content: Bytes | Uint8Array): Bytes {
  const parts = content instanceof Uint8Array ? [content] : content;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [varint(field * 8 + 2), varint(length), ...parts];
}

function text(field: number, value: string): Bytes {
  return bytes(field, new Uint8Array(Buffer.from(value, 'utf8')));
}

/** An axis: a fixed length, or the name of a free one. */
type Dimension = number | string;

/** Element type of an input or output. */
export type OnnxType = keyof typeof TYPE;

/** Builds one graph node by node; every method returns the name of its output. */
export class OnnxGraph {
  private readonly nodes: Bytes[] = [];
  private readonly constants: Bytes[] = [];
  private readonly inputs: Bytes[] = [];
  private readonly outputs: Bytes[] = [];
  private names = 0;

  constructor(private readonly name: string) {}

  input(name: string, shape: readonly Dimension[], type: OnnxType = 'double'): string {
    this.inputs.push(bytes(11, valueInfo(name, shape, type)));
    return name;
  }

  /** Gives a value an outside name and makes it an output. */
  output(name: string, value: string, shape: readonly Dimension[], type: OnnxType = 'double'): void {
    this.node('Identity', [value], {}, name);
    this.outputs.push(bytes(12, valueInfo(name, shape, type)));
  }

  doubles(values: Float64Array | readonly number[], shape: readonly number[]): string {
    const array = Float64Array.from(values);
    return this.constant(
      TYPE.double,
      shape,
      littleEndian(array.length, 8, (view, i) => view.setFloat64(8 * i, array[i]!, true)),
    );
  }

  floats(values: Float32Array | readonly number[], shape: readonly number[]): string {
    const array = Float32Array.from(values);
    const raw = littleEndian(array.length, 4, (view, i) => view.setFloat32(4 * i, array[i]!, true));
    return this.constant(TYPE.float, shape, raw);
  }

  integers(values: readonly number[]): string {
    const raw = littleEndian(values.length, 8, (view, i) => view.setBigInt64(8 * i, BigInt(values[i]!), true));
    return this.constant(TYPE.int64, [values.length], raw);
  }

  booleans(values: readonly boolean[]): string {
    return this.constant(TYPE.bool, [values.length], Uint8Array.from(values, Number));
  }

  node(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
    output = `v${this.names++}`,
  ): string {
    const parts = [
      ...inputs.flatMap((input) => text(1, input)),
      ...text(2, output),
      ...text(4, operator),
      ...Object.entries(attributes).flatMap(([key, value]) => bytes(5, [...text(1, key), ...attribute(value)])),
    ];
    this.nodes.push(bytes(1, parts));
    return output;
  }

  /** The bytes of the .onnx file; `metadata` is kept in it as text. Same calls, same bytes. */
  encode(producerVersion: string, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
    const graph = [
      ...this.nodes.flat(),
      ...text(2, this.name),
      ...this.constants.flat(),
      ...this.inputs.flat(),
      ...this.outputs.flat(),
    ];
    const model = [
      ...integer(1, IR_VERSION),
      ...text(2, 'Concordat'),
      ...text(3, producerVersion),
      ...bytes(7, graph),
      ...bytes(8, integer(2, OPSET)),
      ...Object.entries(metadata).flatMap(([key, value]) => bytes(14, [...text(1, key), ...text(2, value)])),
    ];
    return new Uint8Array(Buffer.concat(model));
  }

  private constant(type: number, shape: readonly number[], raw: Uint8Array): string {
    const name = `c${this.names++}`;
    const dimensions = shape.flatMap((length) => integer(1, length));
    this.constants.push(bytes(5, [...dimensions, ...integer(2, type), ...text(8, name), ...bytes(9, raw)]));
    return name;
  }
}

function attribute(value: number | readonly number[]): Bytes {
  if (typeof value === 'number') return [...integer(3, value), ...integer(20, ATTRIBUTE_INT)];
  return [...value.flatMap((one) => integer(8, one)), ...integer(20, ATTRIBUTE_INTS)];
}

function valueInfo(name: string, shape: readonly Dimension[], type: OnnxType): Bytes {
  const dimensions = shape.flatMap((axis) => bytes(1, typeof axis === 'number' ? integer(1, axis) : text(2, axis)));
  const tensor = [...integer(1, TYPE[type]), ...bytes(2, dimensions)];
  return [...text(1, name), ...bytes(2, bytes(1, tensor))];
}

function littleEndian(count: number, width: number, write: (view: DataView, index: number) => void): Uint8Array {
  const buffer = new ArrayBuffer(count * width);
  const view = new DataView(buffer);
  for (let i = 0; i < count; i++) write(view, i);
  return new Uint8Array(buffer);
}
