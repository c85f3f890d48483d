/** From native handles to Tensor objects; apart from `tensor.ts` so that generated code and the class can both use it. */
import type { Handle } from "./native.js";
import type { Tensor } from "./tensor.js";

let TensorClass: new (handle: Handle) => Tensor;

export function setTensorClass(tensorClass: new (handle: Handle) => Tensor): void {
  TensorClass = tensorClass;
}

export function wrap(handle: unknown): Tensor {
  return new TensorClass(handle as Handle);
}

export function wrapAll(handles: unknown): Tensor[] {
  return (handles as Handle[]).map((handle) => new TensorClass(handle));
}

export function handlesOf(tensors: readonly Tensor[]): Handle[] {
  return tensors.map((tensor) => tensor.handle);
}

export function optionalHandlesOf(tensors: readonly (Tensor | null)[]): (Handle | null)[] {
  return tensors.map((tensor) => tensor?.handle ?? null);
}
