/** The tensor: properties and copies here, every operator in the generated base class. */
import { backward } from "./autograd.js";
import { type Device, type DType, dtypeCode, dtypeName, elementSize } from "./dtype.js";
import { TensorMethods } from "./generated/tensor-methods.js";
import { readBytes } from "./lost-rank.js";
import { native } from "./native.js";
import { refusePromise, TensorScope } from "./scope.js";
import { setTensorClass } from "./wrap.js";

export class Tensor extends TensorMethods {
  #shape: readonly number[] | undefined;
  #dtype: DType | undefined;

  /** Sizes of the dimensions; `[]` for a scalar. */
  get shape(): readonly number[] {
    this.#shape ??= Object.freeze(native.shapeOf(this.handle));
    return this.#shape;
  }

  get dtype(): DType {
    this.#dtype ??= dtypeName(native.dtypeOf(this.handle));
    return this.#dtype;
  }

  get device(): Device {
    return native.deviceOf(this.handle);
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  get sizeBytes(): number {
    return native.bytesOf(this.handle);
  }

  get isContiguous(): boolean {
    return native.isContiguous(this.handle);
  }

  get requiresGrad(): boolean {
    return native.requiresGrad(this.handle);
  }

  /** Only leaves can be switched; a computed tensor is detached first. */
  set requiresGrad(requires: boolean) {
    native.setRequiresGrad(this.handle, requires);
  }

  get isLeaf(): boolean {
    return native.isLeaf(this.handle);
  }

  /** The accumulated gradient of a leaf: a new handle on the same memory, owned by the caller or the open scope. */
  get grad(): Tensor | undefined {
    const handle = native.gradOf(this.handle);
    return handle === 0 ? undefined : new Tensor(handle);
  }

  set grad(gradient: Tensor | undefined) {
    if (gradient !== undefined && String(gradient.shape) !== String(this.shape)) {
      throw new RangeError(
        `grad: a gradient of shape [${gradient.shape}] for a tensor of shape [${this.shape}]`,
      );
    }
    native.setGrad(this.handle, gradient === undefined ? null : gradient.handle);
  }

  /** Names the tensor in errors; returns it. */
  named(name: string): this {
    this.name = name;
    return this;
  }

  /** Gradients of this scalar (or of a tensor, weighted by `gradient`) are added to `.grad` of every leaf it was computed from. */
  backward(gradient?: Tensor): void {
    backward([this], gradient === undefined ? [] : [gradient]);
  }

  /** The only element, as a number. */
  item(): number {
    if (this.numel !== 1)
      throw new RangeError(`item(): the tensor has ${this.numel} elements, shape [${this.shape}]`);
    return Number(this.toTypedArray()[0]);
  }

  /** All elements in row-major order, copied. bfloat16 and float16 come as Float32Array, int64 as BigInt64Array, bool as Uint8Array. */
  toTypedArray():
    | Float32Array
    | Float64Array
    | BigInt64Array
    | Int32Array
    | Int16Array
    | Int8Array
    | Uint8Array {
    const half = this.dtype === "bfloat16" || this.dtype === "float16";
    const bytes = readBytes(this.handle, dtypeCode(half ? "float32" : this.dtype));
    switch (this.dtype) {
      case "float64":
        return new Float64Array(bytes);
      case "float32":
      case "bfloat16":
      case "float16":
        return new Float32Array(bytes);
      case "int64":
        return new BigInt64Array(bytes);
      case "int32":
        return new Int32Array(bytes);
      case "int16":
        return new Int16Array(bytes);
      case "int8":
        return new Int8Array(bytes);
      case "uint8":
      case "bool":
        return new Uint8Array(bytes);
    }
  }

  /**
   * The elements' own bytes, row-major and little-endian, copied.
   * @param into where to, when there is a buffer already; it must be large enough
   */
  toBytes(into?: ArrayBuffer): Uint8Array {
    const bytes = readBytes(this.handle, dtypeCode(this.dtype), into);
    return new Uint8Array(bytes, 0, this.numel * elementSize(this.dtype));
  }

  /** All elements in row-major order, as numbers. */
  toArray(): number[] {
    const values = this.toTypedArray();
    return values instanceof BigInt64Array ? Array.from(values, Number) : Array.from(values);
  }

  override toString(): string {
    return `Tensor(${this.name === undefined ? "" : `${this.name}, `}shape=[${this.shape}], dtype=${this.dtype}, device=${this.device})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.isDisposed ? "Tensor(disposed)" : this.toString();
  }
}

setTensorClass(Tensor);

/**
 * Opens a scope (see `scope.ts`), or runs `body` in one and keeps the tensors that it returns: one, or the members of an
 * array or plain object.
 */
export function tensorScope(): TensorScope;
export function tensorScope<T>(body: () => T): T;
export function tensorScope<T>(body?: () => T): TensorScope | T {
  if (body === undefined) return new TensorScope();
  using scope = new TensorScope();
  const result = body();
  refusePromise(result);
  scope.keep(tensorsIn(result));
  return result;
}

function tensorsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  const isPlain =
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isPlain ? Object.values(value).flatMap(tensorsIn) : [];
}
