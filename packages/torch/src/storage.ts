/** The memory under a tensor, given back and taken again while the tensor stays the same to everyone who knows it. */
import { native } from "./native.js";
import type { Tensor } from "./tensor.js";

/**
 * Gives the memory back. Until `takeStorage` nobody may read or write the tensor, nor any view of it; a graph that saved it may go
 * on referring to it.
 * @throws {NativeError} when the memory is not the tensor's own, such as that of a mapped file
 */
export function dropStorage(tensor: Tensor): void {
  native.resizeStorage(tensor.handle, 0);
}

/** Memory for all elements again, also where a graph saved the tensor; what it holds is undefined. */
export function takeStorage(tensor: Tensor): void {
  native.resizeStorage(tensor.handle, tensor.sizeBytes);
}
