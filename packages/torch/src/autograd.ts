/**
 * Gradients. The graph of operators is libtorch's own. A `customFunction` cuts it: its backward is written in TypeScript,
 * which works on every device because no native thread ever calls into JavaScript. Activation checkpointing and losses
 * that never hold full logits are custom functions.
 */
import { native } from "./native.js";
import { currentScope, outsideScopes } from "./scope.js";
import type { Tensor } from "./tensor.js";
import { handlesOf, wrap } from "./wrap.js";

/** Runs `body` without recording operations for gradients. */
export function noGrad<T>(body: () => T): T {
  return withGradMode(false, body);
}

/** Runs `body` recording again, inside a `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withGradMode(true, body);
}

export function isGradEnabled(): boolean {
  return native.isGradEnabled();
}

function withGradMode<T>(enabled: boolean, body: () => T): T {
  const before = native.setGradEnabled(enabled);
  try {
    return body();
  } finally {
    native.setGradEnabled(before);
  }
}

/**
 * Adds to `.grad` of every leaf that the roots were computed from, through custom functions too.
 * @param gradients weights of the roots, of their shapes; may be left out for scalars
 */
export function backward(roots: readonly Tensor[], gradients: readonly Tensor[] = []): void {
  native.backward(handlesOf(roots), handlesOf(gradients), false, false);
  // Newest first: when a function's turn comes, everything computed from its output has already contributed.
  for (let i = recorded.length - 1; i >= 0; i--) recorded[i]?.run();
}

/**
 * Gradients of `outputs` with respect to `inputs`, without touching any `.grad`. Does not cross custom functions.
 * @returns one tensor per input, `undefined` where the input was not used
 */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { gradOutputs?: readonly Tensor[]; retainGraph?: boolean; createGraph?: boolean } = {},
): (Tensor | undefined)[] {
  const { gradOutputs, createGraph = false, retainGraph = createGraph } = options;
  const handles = native.grad(
    handlesOf(outputs),
    handlesOf(inputs),
    gradOutputs === undefined ? null : handlesOf(gradOutputs),
    retainGraph,
    createGraph,
    true,
  );
  return handles.map((handle) => (handle === 0 ? undefined : wrap(handle)));
}

/** Custom functions whose backward has not run yet, in the order they were computed. */
const recorded: RecordedFunction[] = [];

class RecordedFunction implements Disposable {
  readonly #output: Tensor;
  readonly #inputs: readonly Tensor[];
  readonly #backward: (gradOutput: Tensor) => readonly (Tensor | undefined)[];

  constructor(output: Tensor, inputs: readonly Tensor[], backward: CustomFunction["backward"]) {
    // Handles of its own: the caller's tensors may be disposed before the backward pass.
    [this.#output, ...this.#inputs] = outsideScopes(() => [output, ...inputs].map(alias)) as [
      Tensor,
      ...Tensor[],
    ];
    this.#backward = backward;
    recorded.push(this);
  }

  run(): void {
    using gradOutput = this.#output.grad;
    if (gradOutput === undefined) return;
    const gradients = noGrad(() => this.#backward(gradOutput));
    const pairs = this.#inputs
      .map((input, i) => [input, gradients[i]] as const)
      .filter((pair): pair is [Tensor, Tensor] => pair[1] !== undefined && pair[0].requiresGrad);
    if (pairs.length > 0) {
      native.backward(
        handlesOf(pairs.map(([input]) => input)),
        handlesOf(pairs.map(([, gradient]) => gradient)),
        false,
        false,
      );
    }
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    const position = recorded.lastIndexOf(this);
    if (position < 0) return;
    recorded.splice(position, 1);
    for (const tensor of [this.#output, ...this.#inputs]) tensor.dispose();
  }
}

export interface CustomFunction {
  /** Tensors that gradients flow into. */
  inputs: readonly Tensor[];
  /** Computes the output; runs without recording. */
  forward: () => Tensor;
  /** From the output's gradient to one gradient per input (`undefined` where there is none); runs without recording. */
  backward: (gradOutput: Tensor) => readonly (Tensor | undefined)[];
  /** Record even when no input requires a gradient, because `backward` reaches parameters by itself. */
  always?: boolean;
}

/**
 * A function with a hand-written backward pass, run at most once. It is forgotten with the surrounding scope when no backward
 * pass reaches it. Tensors that `backward` needs must be inputs or outlive the scope by other means.
 */
export function customFunction({ inputs, forward, backward, always = false }: CustomFunction): Tensor {
  const output = noGrad(forward);
  if (!native.isGradEnabled() || !(always || inputs.some((input) => input.requiresGrad))) return output;
  output.requiresGrad = true;
  const node = new RecordedFunction(output, inputs, backward);
  currentScope()?.add(node);
  return output;
}

function alias(tensor: Tensor): Tensor {
  return wrap(native.alias(tensor.handle));
}
