/**
 * Scopes free temporaries: every tensor made while a scope is open is disposed when it ends, unless it is kept.
 *
 *     using scope = tensorScope();
 *     const loss = model(batch).mean();
 *     return scope.keep(loss);
 */
import { LifetimeError } from "./errors.js";
import type { TensorHandle } from "./handle.js";

type Adopt = (tensor: TensorHandle) => void;

/** What a scope frees besides tensors: recorded custom functions. */
type Resource = TensorHandle | Disposable;

let top: TensorScope | undefined;

export class TensorScope implements Disposable {
  readonly #parent: TensorScope | undefined = top;
  readonly #resources: Resource[] = [];
  readonly #kept = new Set<Resource>();
  readonly #adopt: Adopt;
  #crossedAwait = false;
  #closed = false;

  /** @internal use `tensorScope()` */
  constructor(adopt: Adopt) {
    this.#adopt = adopt;
    top = this;
    // Microtasks run when the synchronous code has returned: a scope that is still open then has crossed an `await`.
    queueMicrotask(() => {
      this.#crossedAwait = !this.#closed;
    });
  }

  /** @internal */
  add(resource: Resource): void {
    if (this.#crossedAwait) throw crossedAwait();
    this.#resources.push(resource);
  }

  /** Lets a tensor (or an array of them) outlive this scope: it moves to the surrounding scope, or to the caller. */
  keep<T extends TensorHandle | readonly TensorHandle[]>(value: T): T {
    for (const tensor of Array.isArray(value)
      ? (value as readonly TensorHandle[])
      : [value as TensorHandle]) {
      this.#kept.add(tensor);
    }
    return value;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    const wasTop = top === this;
    if (wasTop) top = this.#parent;
    for (const resource of this.#resources) {
      if (!this.#kept.has(resource)) resource[Symbol.dispose]();
    }
    if (!wasTop || this.#crossedAwait) throw crossedAwait();
    // Only tensors made in this scope change owner; keeping one from outside changes nothing.
    for (const resource of this.#resources) {
      if (!this.#kept.has(resource)) continue;
      if (this.#parent === undefined) this.#adopt(resource as TensorHandle);
      else this.#parent.add(resource);
    }
  }
}

export function currentScope(): TensorScope | undefined {
  return top;
}

/** @internal Runs `body` as if no scope were open: what it makes belongs to the caller. */
export function outsideScopes<T>(body: () => T): T {
  const before = top;
  top = undefined;
  try {
    return body();
  } finally {
    top = before;
  }
}

function crossedAwait(): LifetimeError {
  return new LifetimeError(
    "ERR_SCOPE_ASYNC",
    "a tensor scope stayed open across an `await` (or scopes were closed out of order).",
    {
      fix: "open the scope after the await, or keep the tensors and dispose of them by hand.",
    },
  );
}
