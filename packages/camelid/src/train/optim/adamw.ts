/**
 * AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101). Checked against torch.optim.AdamW in tests/parity; its
 * 8-bit moments against a plain reference beside this file.
 */
import type { DType, Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { SettingsError, TrainingError } from "../../errors.js";
import { clipFactor, gradientNorm } from "./clip.js";
import { type MomentSlot, newMoments, stepMoments } from "./moments.js";

export interface AdamwSettings {
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  /** Moments in fp32, or block-wise in 8 bits. */
  optimizer?: "adamw" | "adamw-8bit";
  /**
   * Update each parameter inside the backward pass, as soon as its gradient is complete, and free the gradient: all gradients
   * are never in memory together. The same numbers, as long as gradients are not clipped and come from one backward pass.
   */
  optimizerInBackward?: boolean;
  /**
   * Keep fp32 copies of lower-precision parameters and update those: small updates are then not lost to rounding. The
   * parameters become rounded copies of the masters.
   */
  masterWeights?: boolean;
  /** In place, over all processes, when each updates other parameters: their squared gradient norms. */
  sumSquares?: (squares: Tensor) => void;
  /** Which parameters decay; matrices only when left out, as Hugging Face's Trainer does. */
  decays?: (name: string, parameter: Tensor) => boolean;
}

export interface Adamw extends Disposable {
  /** Largest number of updates done. */
  readonly step: number;
  /**
   * To be called before the passes of a step: with `optimizerInBackward` they update the parameters.
   * @param passes backward passes that this process will do in the step (1); of several processes each may have another number
   */
  begin(learningRate: number, passes?: number): void;
  /**
   * Ends a step: clips, updates every parameter that has a gradient, and clears the gradients. A norm that is not finite
   * changes no weight: what led to it can then still be looked for. (In the backward pass each parameter has its own norm.)
   * @returns gradient norm before clipping, scalar
   */
  update(learningRate: number, maxGradNorm: number | null): Tensor;
  /** What this process holds of all that continuing needs, by name: moments, masters, step. */
  state(): Map<string, Tensor>;
  /** What all processes hold together. */
  layout(): ReadonlyMap<string, StateLayout>;
  /**
   * Gives `write` everything, tensor by tensor as it asks for their bytes. Of several processes all must call it at the same
   * time, and the main one alone gives a `write`.
   */
  saveState(write: ((state: readonly torch.SafetensorsEntry[]) => void) | undefined): void;
  /**
   * Sets the fp32 masters, where there are any, from weights of more precision than the parameters have. Names that have no
   * master are passed over; every tensor given is disposed.
   */
  setMasters(weights: Iterable<readonly [string, Tensor]>): void;
  /** Takes over what `state` returned in another process; names of other processes' parts are passed over. */
  loadState(state: ReadonlyMap<string, Tensor>): void;
}

export interface StateLayout {
  shape: readonly number[];
  dtype: DType;
}

interface Slot extends MomentSlot {
  name: string;
  decay: boolean;
}

/**
 * @param parameters leaves that require gradients, by name; the optimizer does not own them
 * @throws {SettingsError} `ERR_OPTIMIZER_DEVICE` for 8-bit moments elsewhere than on the CPU and on CUDA
 */
export function adamw(parameters: ReadonlyMap<string, Tensor>, settings: AdamwSettings): Adamw {
  const slots = newSlots(parameters, settings);
  const { betas, eps, weightDecay, optimizerInBackward = false } = settings;
  let steps = 0;

  const updateSlots = (active: readonly Slot[], learningRate: number, norm: Tensor, clip?: Tensor): void => {
    const isBroken = norm.isfinite().logicalNot().to({ dtype: "float32" });
    for (const { step } of active) step.add_(1);
    for (const decays of [true, false]) {
      const group = active.filter(({ decay }) => decay === decays);
      stepMoments(group, { clip, isBroken, learningRate, betas, eps, weightDecay: decays ? weightDecay : 0 });
    }
    for (const { parameter } of active) parameter.grad = undefined;
  };
  const inBackward = optimizerInBackward ? new BackwardUpdates(slots, updateSlots) : undefined;

  return {
    get step() {
      return steps;
    },
    begin(learningRate) {
      inBackward?.begin(learningRate);
    },
    update(learningRate, maxGradNorm) {
      steps++;
      if (inBackward !== undefined) return inBackward.end(learningRate, maxGradNorm);
      return torch.tensorScope(() => {
        const active = slots.filter(({ parameter }) => parameter.grad !== undefined);
        const gradients = active.map(({ parameter }) => parameter.grad!);
        const norm = torch.span("clip", () => gradientNorm(gradients, settings.sumSquares));
        const clip = maxGradNorm === null ? undefined : clipFactor(norm, maxGradNorm);
        torch.span("optimizer", () => updateSlots(active, learningRate, norm, clip));
        return norm;
      });
    },
    state() {
      const state = new Map<string, Tensor>();
      for (const { name, parameter, weight, moments, step } of slots) {
        for (const [prefix, tensor] of moments.tensors) state.set(`${prefix}.${name}`, tensor);
        state.set(`step.${name}`, step);
        if (weight !== parameter) state.set(`master.${name}`, weight);
      }
      return state;
    },
    layout() {
      return this.state();
    },
    saveState(write) {
      write?.([...this.state()].map(([name, tensor]) => torch.safetensorsEntry(name, tensor)));
    },
    setMasters(weights) {
      const masters = new Map(
        slots.flatMap(({ name, parameter, weight }) => (weight === parameter ? [] : [[name, weight]])),
      );
      if (masters.size === 0) return;
      for (const [name, tensor] of weights) {
        masters.get(name)?.copy_(tensor);
        tensor.dispose();
      }
    },
    loadState(state) {
      torch.noGrad(() => {
        for (const [name, tensor] of this.state()) tensor.copy_(state.get(name)!);
      });
      steps = Math.max(0, ...[...state].map(([name, step]) => (name.startsWith("step.") ? step.item() : 0)));
    },
    [Symbol.dispose]() {
      inBackward?.[Symbol.dispose]();
      for (const { parameter, weight, moments, step } of slots) {
        if (weight !== parameter) weight.dispose();
        for (const tensor of [...moments.tensors.values(), step]) tensor.dispose();
      }
    },
  };
}

function newSlots(parameters: ReadonlyMap<string, Tensor>, settings: AdamwSettings): Slot[] {
  const { weightDecay, masterWeights = false, optimizer = "adamw" } = settings;
  const { decays = (_, parameter) => parameter.ndim >= 2 } = settings;
  const trained = [...parameters].filter(([, { requiresGrad }]) => requiresGrad);
  const elsewhere = trained.find(([, { device }]) => !/^(cpu|cuda)/.test(device));
  if (optimizer === "adamw-8bit" && elsewhere !== undefined) {
    throw new SettingsError("ERR_OPTIMIZER_DEVICE", "optimizer adamw-8bit runs on the CPU and on CUDA.", {
      where: `optimizer; "${elsewhere[0]}" is on ${elsewhere[1].device}`,
      fix: "use --optimizer adamw, or --device cpu.",
    });
  }
  return trained.map(([name, parameter]) => {
    const isMaster = masterWeights && parameter.dtype !== "float32";
    const weight = isMaster
      ? torch.tensorScope(() => parameter.detach().to({ dtype: "float32" }))
      : parameter;
    return {
      name,
      parameter,
      weight,
      moments: newMoments(weight, optimizer === "adamw-8bit" ? 8 : 32),
      step: torch.zeros([], { dtype: "float32", device: parameter.device }),
      decay: weightDecay > 0 && decays(name, parameter),
    };
  });
}

/** Hooks on the parameters' gradients; active between `begin` and `end`. */
class BackwardUpdates implements Disposable {
  readonly #slots: readonly Slot[];
  readonly #done = new Set<Slot>();
  #learningRate: number | undefined;
  /** [parameters] fp32: of the gradients of this step. */
  readonly #norms: Tensor;

  constructor(
    slots: readonly Slot[],
    update: (active: readonly Slot[], learningRate: number, norm: Tensor) => void,
  ) {
    this.#slots = slots;
    this.#norms = torch.zeros([slots.length], { device: slots[0]?.parameter.device ?? "cpu" });
    for (const [place, slot] of slots.entries()) {
      torch.onGradient(slot.parameter, () => {
        const rate = this.#learningRate;
        if (rate === undefined) return; // somebody looks at gradients between two steps
        if (this.#done.has(slot)) throw secondPass(slot.name);
        this.#done.add(slot);
        const norm = gradientNorm([slot.parameter.grad!]);
        this.#norms.select(0, place).copy_(norm);
        torch.span("optimizer", () => update([slot], rate, norm));
      });
    }
  }

  begin(learningRate: number): void {
    this.#learningRate = learningRate;
  }

  end(learningRate: number, maxGradNorm: number | null): Tensor {
    checkInBackward({ optimizerInBackward: true, maxGradNorm, gradAccumSteps: 1 });
    if (this.#learningRate !== learningRate) {
      throw new TrainingError("ERR_IN_BACKWARD_ORDER", "the step was not begun with its learning rate.", {
        fix: "call optimizer.begin(learningRate) before the passes, and update with the same rate after them.",
      });
    }
    this.#learningRate = undefined;
    this.#done.clear();
    const norm = this.#norms.norm();
    this.#norms.zero_();
    return norm;
  }

  [Symbol.dispose](): void {
    for (const { parameter } of this.#slots)
      if (!parameter.isDisposed) torch.onGradient(parameter, undefined);
    this.#norms.dispose();
  }
}

/**
 * What an update inside the backward pass cannot honour: a norm over all gradients is known only when all are there, and
 * gradients that are still to be added to cannot be used.
 * @throws {SettingsError} `ERR_IN_BACKWARD_CLIP`, `ERR_IN_BACKWARD_ACCUMULATION`
 */
export function checkInBackward(settings: {
  optimizerInBackward: boolean;
  maxGradNorm: number | null;
  gradAccumSteps: number;
}): void {
  if (!settings.optimizerInBackward) return;
  if (settings.maxGradNorm !== null) {
    throw new SettingsError(
      "ERR_IN_BACKWARD_CLIP",
      "optimizerInBackward cannot clip: the norm of all gradients is known only after the last of them.",
      {
        where: `optimizerInBackward, maxGradNorm ${settings.maxGradNorm}`,
        fix: "turn clipping off (--max-grad-norm none), or leave optimizerInBackward out.",
      },
    );
  }
  if (settings.gradAccumSteps > 1) {
    throw new SettingsError(
      "ERR_IN_BACKWARD_ACCUMULATION",
      "optimizerInBackward cannot accumulate: a gradient is used and freed in the pass that made it.",
      {
        where: `optimizerInBackward, gradAccumSteps ${settings.gradAccumSteps}`,
        fix: "put the rows into one pass (--micro-batch-size, --grad-accum-steps 1), or leave optimizerInBackward out.",
      },
    );
  }
}

function secondPass(name: string): TrainingError {
  return new TrainingError("ERR_IN_BACKWARD_TWICE", "a second backward pass came in one step.", {
    where: `parameter "${name}"`,
    fix: "with optimizerInBackward a step is one pass: --grad-accum-steps 1.",
  });
}
