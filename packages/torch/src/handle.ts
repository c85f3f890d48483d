/**
 * The lifetime of a tensor. A `TensorHandle` owns one native handle until it is disposed: by `using`, by the scope it was
 * made in, or by hand. Garbage collection is only the safety net, and says so (see `leakReport`).
 */
import { LifetimeError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { currentScope } from "./scope.js";

export abstract class TensorHandle implements Disposable {
  /** Shown in errors, so that "used after disposal" names the tensor. */
  name: string | undefined = undefined;
  #handle: Handle;

  constructor(handle: Handle) {
    this.#handle = handle;
    const scope = currentScope();
    if (scope === undefined) adopt(this, handle);
    else scope.add(this);
  }

  /** @internal The native handle. @throws {LifetimeError} after disposal */
  get handle(): Handle {
    if (this.#handle === 0) throw usedAfterDisposal(this.name);
    return this.#handle;
  }

  get isDisposed(): boolean {
    return this.#handle === 0;
  }

  /** Frees the tensor now. Disposing twice is harmless. */
  dispose(): void {
    const handle = this.surrender();
    if (handle !== 0) native.release(handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal Marks the tensor as disposed and gives its handle to the caller, who must release it. 0 when it already was. */
  surrender(): Handle {
    const handle = this.#handle;
    if (handle !== 0) {
      this.#handle = 0;
      disown(this, handle);
    }
    return handle;
  }
}

function usedAfterDisposal(name: string | undefined): LifetimeError {
  return new LifetimeError(
    "ERR_TENSOR_DISPOSED",
    `${name === undefined ? "a tensor" : `tensor "${name}"`} was used after it was disposed.`,
    {
      fix: "keep it with scope.keep(tensor), or dispose of it later.",
    },
  );
}

// --- tensors outside any scope: counted, told to the engine, and caught when they leak ---

const TRACE = process.env.CAMELID_TENSOR_STACKS === "1";
const adopted = new WeakMap<TensorHandle, number>();
const leaks: string[] = [];
let leakCount = 0;

const safetyNet = new FinalizationRegistry<{ handle: Handle; bytes: number; origin: string | undefined }>(
  (leaked) => {
    native.release(leaked.handle);
    native.adjustExternalMemory(-leaked.bytes);
    leakCount++;
    if (leaked.origin !== undefined && leaks.length < 100) leaks.push(leaked.origin);
  },
);

/** @internal A tensor that no scope owns: the engine learns how many bytes hang on the small object. */
export function adopt(tensor: TensorHandle, handle: Handle): void {
  const bytes = native.bytesOf(handle);
  const origin = TRACE ? new Error().stack?.split("\n").slice(3, 8).join("\n") : undefined;
  adopted.set(tensor, bytes);
  native.adjustExternalMemory(bytes);
  safetyNet.register(tensor, { handle, bytes, origin }, tensor);
}

function disown(tensor: TensorHandle, _handle: Handle): void {
  const bytes = adopted.get(tensor);
  if (bytes === undefined) return;
  adopted.delete(tensor);
  safetyNet.unregister(tensor);
  native.adjustExternalMemory(-bytes);
}

/**
 * Tensors that nobody disposed and the garbage collector found. `origins` holds where they were made when the process runs
 * with CAMELID_TENSOR_STACKS=1.
 */
export function leakReport(): { leaked: number; origins: readonly string[] } {
  return { leaked: leakCount, origins: leaks };
}
