/** Tensors from JavaScript values. (`zeros`, `arange`, `randn` and the like are operators, in `generated/functions.ts`.) */
import { type Device, type DType, dtypeCode } from "./dtype.js";
import { native } from "./native.js";
import type { Tensor } from "./tensor.js";
import { wrap } from "./wrap.js";

export type NestedNumbers = number | boolean | readonly NestedNumbers[];
export type NumericArray =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

export interface TensorOptions {
  dtype?: DType;
  device?: Device;
  requiresGrad?: boolean;
}

/**
 * A tensor holding a copy of `data`: a number, nested arrays of numbers, or a typed array.
 * Plain numbers become float32 and booleans bool unless `dtype` says otherwise; a typed array keeps its own element type.
 * @param options `shape` reshapes a typed array, which is flat otherwise
 * @throws {RangeError} when nested arrays are ragged, or the shape does not hold as many elements as `data`
 */
export function tensor(
  data: NestedNumbers | NumericArray,
  options: TensorOptions & { shape?: readonly number[] } = {},
): Tensor {
  const { values, shape } = isTypedArray(data)
    ? { values: data, shape: options.shape ?? [data.length] }
    : flatten(data, options.dtype);
  if (shape.reduce((product, size) => product * size, 1) !== values.length) {
    throw new RangeError(`tensor(): shape [${shape}] does not hold ${values.length} elements`);
  }
  const own = isTypedArray(data) || !isBoolean(data) ? elementType(values) : "bool";
  const { dtype = own, device = "cpu", requiresGrad = false } = options;
  // A GPU of NVIDIA's takes the bytes as they are, without keeping the host waiting, and converts them itself.
  const first = device.startsWith("cuda") ? device : "cpu";
  const made = wrap(native.fromBytes(values, shape, dtypeCode(own), first));
  let result = made;
  if (dtype !== own || device !== first) {
    result = made.to({ dtype, device });
    made.dispose();
  }
  if (requiresGrad) result.requiresGrad = true;
  return result;
}

/** A tensor over a copy of raw little-endian bytes of the given type. */
export function fromBytes(bytes: Uint8Array, shape: readonly number[], dtype: DType): Tensor {
  return wrap(native.fromBytes(bytes, shape, dtypeCode(dtype), "cpu"));
}

function isTypedArray(data: NestedNumbers | NumericArray): data is NumericArray {
  return ArrayBuffer.isView(data);
}

function isBoolean(data: NestedNumbers): boolean {
  let first: NestedNumbers | undefined = data;
  while (Array.isArray(first)) first = first[0];
  return typeof first === "boolean";
}

function elementType(values: NumericArray): DType {
  if (values instanceof Float32Array) return "float32";
  if (values instanceof Float64Array) return "float64";
  if (values instanceof BigInt64Array) return "int64";
  if (values instanceof Int32Array) return "int32";
  if (values instanceof Int16Array) return "int16";
  if (values instanceof Int8Array) return "int8";
  return "uint8";
}

function flatten(data: NestedNumbers, dtype: DType | undefined): { values: NumericArray; shape: number[] } {
  const shape: number[] = [];
  for (let level: NestedNumbers | undefined = data; Array.isArray(level); level = level[0])
    shape.push(level.length);
  const numbers: number[] = [];
  const visit = (value: NestedNumbers, depth: number): void => {
    if (!Array.isArray(value)) {
      if (depth !== shape.length) throw new RangeError("tensor(): the nested arrays are ragged");
      numbers.push(Number(value));
      return;
    }
    if (value.length !== shape[depth]) throw new RangeError("tensor(): the nested arrays are ragged");
    for (const item of value) visit(item, depth + 1);
  };
  visit(data, 0);
  if (isBoolean(data)) return { values: Uint8Array.from(numbers), shape };
  // Integers beyond 2^24 and doubles survive: the conversion to the wanted dtype happens from the wider type.
  if (dtype === "int64") return { values: BigInt64Array.from(numbers, (n) => BigInt(n)), shape };
  if (dtype === undefined || dtype === "float32") return { values: Float32Array.from(numbers), shape };
  return { values: Float64Array.from(numbers), shape };
}
