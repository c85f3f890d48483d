/**
 * Gradients. The graph of operators is libtorch's own. A `customFunction` is a node in it whose backward is written in
 * TypeScript; that works on every device because backward passes run on the thread that asks for them. Activation
 * checkpointing and losses that never hold full logits are custom functions.
 */
import { type Handle, native } from "./native.js";
import { TensorScope } from "./scope.js";
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
 * Adds to `.grad` of every leaf that the roots were computed from. The graph is freed on the way.
 * @param gradients weights of the roots, of their shapes; may be left out for scalars
 */
export function backward(roots: readonly Tensor[], gradients: readonly Tensor[] = []): void {
  native.backward(handlesOf(roots), handlesOf(gradients), false, false);
}

/**
 * Gradients of `outputs` with respect to `inputs`, without touching any `.grad`.
 * @param options `createGraph` makes the gradients differentiable themselves; those of our own kernels (`packedAttention`, `fused...`)
 * are not, and throw
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

/**
 * Runs `hook` whenever a backward pass has added to the gradient of a leaf: by then its gradient in that pass is complete, and
 * the hook may use it and clear it. In the place of an earlier hook; `undefined` takes it away. Runs without recording.
 */
export function onGradient(leaf: Tensor, hook: (() => void) | undefined): void {
  const called = (): void => {
    using _ = new TensorScope();
    noGrad(hook!);
  };
  native.setGradientHook(leaf.handle, hook === undefined ? null : called);
}

export interface CustomFunction {
  /** Tensors that gradients flow into. */
  inputs: readonly Tensor[];
  /** Computes the output; runs without recording. */
  forward: () => Tensor;
  /**
   * From the output's gradient to one gradient per input (`undefined` where there is none). Runs without recording, in a scope
   * of its own. Gradients that it returns stay its own: they may have been computed before.
   */
  backward: (gradOutput: Tensor) => readonly (Tensor | undefined)[];
  /** Record even when no input requires a gradient, because `backward` reaches parameters by itself. */
  always?: boolean;
}

/**
 * A function with a hand-written backward pass: one node of libtorch's graph. `backward` runs when everything computed from
 * the output has contributed to its gradient, and may call `enableGrad`, `backward` and `grad` itself.
 * Tensors that `backward` uses must still live when the backward pass runs; the inputs may have been disposed if it does not.
 */
export function customFunction({ inputs, forward, backward, always = false }: CustomFunction): Tensor {
  const output = noGrad(forward);
  if (!isGradEnabled() || !(always || inputs.some((input) => input.requiresGrad))) return output;
  const called = (gradHandle: Handle): Handle[] => {
    using _ = new TensorScope();
    const gradients = noGrad(() => backward(wrap(gradHandle)));
    if (gradients.length > inputs.length)
      throw new RangeError(`customFunction: ${gradients.length} gradients for ${inputs.length} inputs`);
    return gradients.map((gradient) => (gradient === undefined ? 0 : native.alias(gradient.handle)));
  };
  const handle = native.recordFunction(output.handle, handlesOf(inputs), called, always);
  return handle === 0 ? output : wrap(handle);
}
