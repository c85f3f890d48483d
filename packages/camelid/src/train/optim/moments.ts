/**
 * What AdamW remembers of each weight: running means of the gradient and of its square. In fp32, 8 bytes a weight; or in
 * 8 bits (Dettmers et al. 2022, https://arxiv.org/abs/2110.02861), 2.03 bytes: codes relative to the largest magnitude of each
 * block of 256, as bitsandbytes stores them.
 */
import type { Tensor } from "@camelid/torch";
import * as torch from "@camelid/torch";

export interface AdamwStep {
  /** Scalar fp32 that gradients are multiplied by, when they are clipped. */
  clip: Tensor | undefined;
  /** Scalar fp32: 1 where the gradients are not finite, and nothing is to change. */
  isBroken: Tensor;
  learningRate: number;
  betas: readonly [number, number];
  eps: number;
  weightDecay: number;
}

/** The moments of one parameter. */
export interface Moments {
  /** By the prefix of their names in a checkpoint; owned. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly bits: 8 | 32;
}

/** Smaller tensors keep fp32 moments: there is little to save, and norms are sensitive. bitsandbytes' rule. */
const LEAST_8BIT = 4096;
const BLOCK = 256;
/** The signed code's zero. */
const ZERO_CODE = 127;

export function newMoments(weight: Tensor, bits: 8 | 32): Moments {
  if (bits === 32 || weight.numel < LEAST_8BIT) {
    const tensors = new Map([
      ["exp_avg", torch.zerosLike(weight)],
      ["exp_avg_sq", torch.zerosLike(weight)],
    ]);
    return { tensors, bits: 32 };
  }
  const scales = [Math.ceil(weight.numel / BLOCK)];
  const tensors = new Map([
    ["exp_avg", torch.fullLike(weight, ZERO_CODE, { dtype: "uint8" })],
    ["exp_avg_scales", torch.zeros(scales, { device: weight.device })],
    ["exp_avg_sq", torch.zerosLike(weight, { dtype: "uint8" })],
    ["exp_avg_sq_scales", torch.zeros(scales, { device: weight.device })],
  ]);
  return { tensors, bits: 8 };
}

export interface MomentSlot {
  /** Holds the gradient. */
  parameter: Tensor;
  /** What is updated: the parameter, or its fp32 master. */
  weight: Tensor;
  moments: Moments;
  /** Scalar fp32: updates done, this one included. */
  step: Tensor;
}

/**
 * One AdamW step, without waiting for a device; parameters become rounded copies of their masters. What can goes through one kernel
 * together.
 */
export function stepMoments(slots: readonly MomentSlot[], step: AdamwStep): void {
  torch.noGrad(() => {
    using _ = torch.tensorScope();
    const of = (bits: 8 | 32): MomentSlot[] => slots.filter(({ moments }) => moments.bits === bits);
    const whole = of(32);
    if (slots.every(({ weight }) => weight.device === "cpu")) {
      if (torch.hostScalar(step.isBroken) !== 0) return;
      for (const group of [whole.filter(hasMaster), whole.filter((slot) => !hasMaster(slot))])
        if (group.length > 0) stepOnCpu(group, step);
    } else stepElsewhere(whole, step);
    stepBlockwise(of(8), step);
  });
}

const hasMaster = ({ parameter, weight }: MomentSlot): boolean => parameter !== weight;

/** Everything in one pass: clipped, updated, rounded. */
function stepOnCpu(slots: readonly MomentSlot[], options: AdamwStep): void {
  const { learningRate, betas, eps, weightDecay, clip } = options;
  torch.adamw_(
    slots.map(({ weight }) => weight),
    slots.map(({ parameter }) => parameter.grad!),
    slots.map(({ moments }) => moments.tensors.get("exp_avg")!),
    slots.map(({ moments }) => moments.tensors.get("exp_avg_sq")!),
    hasMaster(slots[0]!) ? slots.map(({ parameter }) => parameter) : [],
    slots.map(({ step }) => step),
    clip,
    learningRate,
    ...betas,
    weightDecay,
    eps,
  );
}

function stepBlockwise(slots: readonly MomentSlot[], step: AdamwStep): void {
  if (slots.length === 0) return;
  if (step.clip !== undefined)
    torch.foreachMul_(
      slots.map(({ parameter }) => parameter.grad!),
      step.clip,
    );
  for (const slot of slots) {
    step8(slot, step);
    if (hasMaster(slot)) slot.parameter.copy_(slot.weight);
  }
}

function stepElsewhere(slots: readonly MomentSlot[], options: AdamwStep): void {
  if (slots.length === 0) return;
  const { learningRate, betas, eps, weightDecay, isBroken, clip } = options;
  const gradients = slots.map(({ parameter }) => parameter.grad!);
  if (clip !== undefined) torch.foreachMul_(gradients, clip);
  torch.fusedAdamw_(
    slots.map(({ weight }) => weight),
    // The kernel wants gradients of the weight's dtype.
    slots.map(({ weight }, i) => gradients[i]!.to({ dtype: weight.dtype })),
    slots.map(({ moments }) => moments.tensors.get("exp_avg")!),
    slots.map(({ moments }) => moments.tensors.get("exp_avg_sq")!),
    [],
    slots.map(({ step }) => step),
    {
      lr: learningRate,
      beta1: betas[0],
      beta2: betas[1],
      weightDecay,
      eps,
      amsgrad: false,
      maximize: false,
      foundInf: isBroken,
    },
  );
  for (const slot of slots) if (hasMaster(slot)) slot.parameter.copy_(slot.weight);
}

function step8({ parameter, weight, moments, step }: MomentSlot, { learningRate, ...rest }: AdamwStep): void {
  const [mean, meanScales, square, squareScales] = [...moments.tensors.values()] as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const { betas, eps, weightDecay, isBroken } = rest;
  torch.adamw8bit_(
    weight,
    parameter.grad!,
    mean,
    meanScales,
    square,
    squareScales,
    step,
    learningRate,
    ...betas,
    weightDecay,
    eps,
    isBroken,
  );
}
