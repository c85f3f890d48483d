/** Tensors that wait in host memory while their device has better use for its own. */
import { native } from "./native.js";
import type { Tensor } from "./tensor.js";
import { wrap } from "./wrap.js";

export interface HostCopy extends Disposable {
  /** Starts the way back, beside whatever the device computes. */
  prefetch(): void;
  /** The tensor on its own device again, with its values of when it was copied; without a gradient's record. Once. */
  takeBack(): Tensor;
}

/**
 * A copy in host memory: page-locked, and on its way beside what the device goes on computing. The tensor may be disposed of at once;
 * its memory is free when the copy is complete. Of a tensor on the CPU it is a copy as well.
 */
export function moveToHost(tensor: Tensor): HostCopy {
  const number = native.moveToHost(tensor.handle);
  const copy: HostCopy = {
    prefetch: () => native.prefetchCopy(number),
    takeBack: () => wrap(native.takeBack(number)),
    [Symbol.dispose]: () => native.dropCopy(number),
  };
  forgotten.register(copy, number);
  return copy;
}

/** A backward pass that never came leaves its copies to the collector of garbage. */
const forgotten = new FinalizationRegistry<number>((number) => native.dropCopy(number));
