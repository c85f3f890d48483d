/**
 * The lifetime of a tensor. A `TensorHandle` owns one native handle until it is disposed: by `using`, by the scope it was
 * made in, or by hand. Garbage collection is only the safety net, and says so (see `leakReport`).
 */
import { LifetimeError } from "./errors.js";
import { type Handle, native } from "./native.js";
import { currentScope, type TensorScope } from "./scope.js";

export abstract class TensorHandle implements Disposable {
  /** Shown in errors, so that "used after disposal" names the tensor. */
  name: string | undefined = undefined;
  #handle: Handle;
  /** What the engine was told about; undefined while a scope owns the tensor. */
  #ownBytes: number | undefined = undefined;

  constructor(handle: Handle) {
    this.#handle = handle;
    this.moveTo(currentScope());
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
    this.#handle = 0;
    if (this.#ownBytes !== undefined && handle !== 0) {
      safetyNet.unregister(this);
      native.adjustExternalMemory(-this.#ownBytes);
    }
    return handle;
  }

  /**
   * @internal Gives the tensor to a scope, or to nobody: then the engine learns how many bytes hang on the small object, and
   * the tensor is freed and counted as a leak should the object become unreachable.
   */
  moveTo(scope: TensorScope | undefined): void {
    if (this.#handle === 0) return;
    if (scope !== undefined) {
      scope.add(this);
      return;
    }
    const bytes = native.bytesOf(this.#handle);
    const origin = TRACE ? new Error().stack?.split("\n").slice(3, 8).join("\n") : undefined;
    this.#ownBytes = bytes;
    native.adjustExternalMemory(bytes);
    safetyNet.register(this, { handle: this.#handle, bytes, origin }, this);
  }
}

function usedAfterDisposal(name: string | undefined): LifetimeError {
  const which = name === undefined ? "a tensor" : `tensor "${name}"`;
  return new LifetimeError("ERR_TENSOR_DISPOSED", `${which} was used after it was disposed.`, {
    fix: "keep it with scope.keep(tensor), or dispose of it later.",
  });
}

const TRACE = process.env.CAMELID_TENSOR_STACKS === "1";
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

/**
 * Tensors that nobody disposed and the garbage collector found. `origins` holds where they were made when the process runs
 * with CAMELID_TENSOR_STACKS=1.
 */
export function leakReport(): { leaked: number; origins: readonly string[] } {
  return { leaked: leakCount, origins: [...leaks] };
}
