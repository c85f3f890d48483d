/**
 * AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101), one fused kernel over all parameters of a group.
 * Checked against torch.optim.AdamW in tests/parity.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";
import { clipGradNorm } from "./clip.js";

export interface AdamwSettings {
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
  /**
   * Keep fp32 copies of lower-precision parameters and update those: small updates are then not lost to rounding. The
   * parameters become rounded copies of the masters.
   */
  masterWeights?: boolean;
  /** Which parameters decay; matrices only when left out, as Hugging Face's Trainer does. */
  decays?: (name: string, parameter: Tensor) => boolean;
}

export interface Adamw extends Disposable {
  /** Largest number of updates done. */
  readonly step: number;
  /**
   * Clips, updates every parameter that has a gradient, and clears the gradients. A norm that is not finite changes no weight:
   * what led to it can then still be looked for.
   * @returns gradient norm before clipping, scalar
   */
  update(learningRate: number, maxGradNorm: number | null): Tensor;
  /** Everything that continuing needs, by name: moments, masters, step. */
  state(): Map<string, Tensor>;
  /**
   * Sets the fp32 masters, where there are any, from weights of more precision than the parameters have. Names that have no
   * master are passed over; every tensor given is disposed.
   */
  setMasters(weights: Iterable<readonly [string, Tensor]>): void;
  /** Takes over what `state` returned in another process. */
  loadState(state: ReadonlyMap<string, Tensor>): void;
}

interface Slot {
  name: string;
  /** What the model computes with. */
  parameter: Tensor;
  /** What is updated: the parameter itself, or its fp32 master. */
  weight: Tensor;
  expAvg: Tensor;
  expAvgSq: Tensor;
  step: Tensor;
  decay: boolean;
}

/** @param parameters leaves that require gradients, by name; the optimizer does not own them */
export function adamw(parameters: ReadonlyMap<string, Tensor>, settings: AdamwSettings): Adamw {
  const {
    betas,
    eps,
    weightDecay,
    masterWeights = false,
    decays = (_, parameter) => parameter.ndim >= 2,
  } = settings;
  const slots: Slot[] = [];
  for (const [name, parameter] of parameters) {
    if (!parameter.requiresGrad) continue;
    const isMaster = masterWeights && parameter.dtype !== "float32";
    const weight = isMaster
      ? torch.tensorScope(() => parameter.detach().to({ dtype: "float32" }))
      : parameter;
    slots.push({
      name,
      parameter,
      weight,
      expAvg: torch.zerosLike(weight),
      expAvgSq: torch.zerosLike(weight),
      step: torch.zeros([], { dtype: "float32", device: parameter.device }),
      decay: weightDecay > 0 && decays(name, parameter),
    });
  }
  let steps = 0;

  const updateGroup = (group: Slot[], decay: number, learningRate: number, isBroken: Tensor): void => {
    if (group.length === 0) return;
    using _ = torch.tensorScope();
    // The kernel wants gradients of the weight's dtype.
    const gradients = group.map(({ parameter, weight }) => parameter.grad!.to({ dtype: weight.dtype }));
    for (const { step } of group) step.add_(1);
    torch.noGrad(() =>
      torch.fusedAdamw_(
        group.map((slot) => slot.weight),
        gradients,
        group.map((slot) => slot.expAvg),
        group.map((slot) => slot.expAvgSq),
        [],
        group.map((slot) => slot.step),
        {
          lr: learningRate,
          beta1: betas[0],
          beta2: betas[1],
          weightDecay: decay,
          eps,
          amsgrad: false,
          maximize: false,
          foundInf: isBroken,
        },
      ),
    );
  };

  return {
    get step() {
      return steps;
    },
    update(learningRate, maxGradNorm) {
      return torch.tensorScope(() => {
        const active = slots.filter(({ parameter }) => parameter.grad !== undefined);
        const gradients = active.map(({ parameter }) => parameter.grad!);
        const norm = torch.span("clip", () => clipGradNorm(gradients, maxGradNorm));
        torch.span("optimizer", () => {
          const isBroken = norm.isfinite().logicalNot().to({ dtype: "float32" });
          const decaying = active.filter((slot) => slot.decay);
          updateGroup(decaying, weightDecay, learningRate, isBroken);
          const others = active.filter((slot) => !slot.decay);
          updateGroup(others, 0, learningRate, isBroken);
          torch.noGrad(() => {
            for (const { parameter, weight } of active) if (weight !== parameter) parameter.copy_(weight);
          });
          for (const { parameter } of active) parameter.grad = undefined;
        });
        steps++;
        return norm;
      });
    },
    state() {
      const state = new Map<string, Tensor>();
      for (const { name, parameter, weight, expAvg, expAvgSq, step } of slots) {
        state.set(`exp_avg.${name}`, expAvg).set(`exp_avg_sq.${name}`, expAvgSq).set(`step.${name}`, step);
        if (weight !== parameter) state.set(`master.${name}`, weight);
      }
      return state;
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
        for (const { name, parameter, weight, expAvg, expAvgSq, step } of slots) {
          expAvg.copy_(state.get(`exp_avg.${name}`)!);
          expAvgSq.copy_(state.get(`exp_avg_sq.${name}`)!);
          step.copy_(state.get(`step.${name}`)!);
          if (weight !== parameter) weight.copy_(state.get(`master.${name}`)!);
          steps = Math.max(steps, step.item());
        }
      });
    },
    [Symbol.dispose]() {
      for (const { parameter, weight, expAvg, expAvgSq, step } of slots) {
        if (weight !== parameter) weight.dispose();
        for (const tensor of [expAvg, expAvgSq, step]) tensor.dispose();
      }
    },
  };
}
