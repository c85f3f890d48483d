/**
 * Scopes free temporaries: every tensor made while a scope is open is disposed when it ends, unless it is kept.
 *
 *     using scope = tensorScope();
 *     const loss = model(batch).mean();
 *     return scope.keep(loss);
 */
import { LifetimeError } from "./errors.js";
import type { TensorHandle } from "./handle.js";
import { native } from "./native.js";

let top: TensorScope | undefined;

/** The innermost open scope. */
export function currentScope(): TensorScope | undefined {
  return top;
}

export class TensorScope implements Disposable {
  readonly #parent = top;
  readonly #turn = currentTurn();
  #tensors: TensorHandle[] = [];
  #kept: Set<TensorHandle> | undefined;
  #closed = false;

  /** @internal use `tensorScope()` */
  constructor() {
    top = this;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** @internal */
  add(tensor: TensorHandle): void {
    if (this.#turn !== turn) {
      tensor.dispose();
      throw crossedAwait();
    }
    this.#tensors.push(tensor);
  }

  /** Lets a tensor (or an array of them) outlive this scope: it moves to the surrounding scope, or to the caller. */
  keep<T extends TensorHandle | readonly TensorHandle[]>(value: T): T {
    this.#kept ??= new Set();
    for (const tensor of Array.isArray(value) ? value : [value]) this.#kept.add(tensor as TensorHandle);
    return value;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    const inOrder = top === this && this.#turn === turn;
    // Scopes closed out of order may lie below: they are no owners any more.
    while (top?.isClosed) top = top.#parent;

    const tensors = this.#tensors;
    this.#tensors = [];
    const kept = this.#kept;
    release(kept === undefined ? tensors : tensors.filter((tensor) => !kept.has(tensor)));
    if (kept !== undefined) {
      // Only tensors made in this scope change owner; keeping one from outside changes nothing.
      for (const tensor of tensors) if (kept.has(tensor)) tensor.moveTo(inOrder ? top : undefined);
    }
    if (!inOrder) throw crossedAwait();
  }
}

/** Runs `body` as if no scope were open: what it makes and does not free in scopes of its own belongs to the caller, to dispose by hand. */
export function outsideScopes<T>(body: () => T): T {
  const before = top;
  top = undefined;
  try {
    return body();
  } finally {
    top = before;
  }
}

let handles = new Int32Array(1024);

/** One native call for all of them. */
function release(tensors: readonly TensorHandle[]): void {
  if (tensors.length > handles.length) handles = new Int32Array(2 * tensors.length);
  let count = 0;
  for (const tensor of tensors) {
    const handle = tensor.surrender();
    if (handle !== 0) handles[count++] = handle;
  }
  if (count > 0) native.releaseAll(handles, count);
}

/** Numbers the stretches of synchronous code. A scope that sees two numbers was open across an `await`. */
let turn = 0;
let turnEnds = false;

function currentTurn(): number {
  if (!turnEnds) {
    turnEnds = true;
    // Microtasks run, in order, when the synchronous code has returned; the rest of an async function is one of them.
    queueMicrotask(() => {
      turnEnds = false;
      turn++;
    });
  }
  return turn;
}

function crossedAwait(): LifetimeError {
  return new LifetimeError(
    "ERR_SCOPE_ASYNC",
    "a tensor scope stayed open across an `await`, was never closed, or was closed out of order.",
    { fix: "open it with `using` after the await, or keep the tensors and dispose of them by hand." },
  );
}

/** @internal For `tensorScope`, whose body must have returned for good. */
export function refusePromise(value: unknown): void {
  if (value instanceof Promise) throw crossedAwait();
}
